"""An authority of our own that vouches for Google's names, made anew for each front; nothing trusts it but the program under test."""

from __future__ import annotations

import datetime as dates
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

H2 = "h2"
LIVES = dates.timedelta(days=2)


class Authority:
    """Signs a certificate for any host. `bundle` is the file that a client has to trust."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        own = self._certificate(self._name, self._key.public_key()).add_extension(constraints, critical=True)
        self.bundle = folder / f"{name}.pem"
        self.bundle.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """What a server that is this host needs. It speaks HTTP/2 to who asks for it."""
        if host not in self._contexts:
            self._contexts[host] = self._made(host)
        return self._contexts[host]

    def any_host(self) -> ssl.SSLContext:
        """A context that is whatever host the client asks for."""
        context = self.context("localhost")

        def become(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            if host:
                connection.context = self.context(host)

        context.sni_callback = become
        return context

    def _made(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        signed = (
            self._certificate(name, key.public_key())
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"{len(self._contexts)}-{self.bundle.stem}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols([H2, "http/1.1"])
        return context

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dates.datetime.now(dates.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIVES)
            .not_valid_after(now + LIVES)
        )
