"""OIDC tokens as Google's: RS256, signed with the lab's own throwaway key, verified against the certificates it serves."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from diagnostics.lab.http import Token

ISSUER = "https://accounts.google.com"
LIFETIME_S = 3600
KEY_ID = "lab"


@dataclass(frozen=True)
class Claims:
    """What a token says about its bearer."""

    email: str
    subject: str
    """The account's unique id."""
    audience: str
    with_email: bool = True
    """IAM Credentials leaves the e-mail out unless asked for it."""


class Tokens:
    """One signing key. Times are simulated seconds since the epoch."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._signer = crypt.RSASigner.from_string(private, key_id=KEY_ID)
        self._certificate = _certificate(key)

    @property
    def certificates(self) -> dict[str, str]:
        """Key id to PEM certificate, as https://www.googleapis.com/oauth2/v1/certs has them."""
        return {KEY_ID: self._certificate}

    def mint(self, claims: Claims, now: float) -> str:
        payload = {
            "iss": ISSUER,
            "aud": claims.audience,
            "azp": claims.subject,
            "sub": claims.subject,
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
        }
        if claims.with_email:
            payload |= {"email": claims.email, "email_verified": True}
        token: bytes = jwt.encode(self._signer, payload)
        return token.decode()

    def read(self, token: str, now: float) -> Token | None:
        """The claims of a token of ours; None if it is not, or has expired."""
        try:
            message, _, signature = token.rpartition(".")
            payload = jwt.decode(token, verify=False)
            signed = crypt.verify_signature(message.encode(), _unpadded(signature), self._certificate)
        except ValueError:
            return None
        if not signed or payload.get("iss") != ISSUER or float(payload["exp"]) < now:
            return None
        return Token(payload.get("email", ""), payload["aud"], float(payload["exp"]))


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    made = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
