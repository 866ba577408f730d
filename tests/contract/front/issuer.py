"""Who is who: the keys, logins and tokens that exist in this little world, and the time by which they are judged."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LIVES_S = 3600
SKEW_S = 600
"""By so much may a clock be wrong before its tokens are refused."""

_number = count(1)


class Refused(Exception):
    """A token endpoint's error: `error` and `description` as RFC 6749 names them, and what Google adds."""

    def __init__(self, error: str, description: str, **more: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description, **more}


@dataclass
class Issuer:
    """What has been issued. `ahead_s`: Google's clock is so far ahead of the machine's."""

    ahead_s: float = 0.0
    keys: dict[str, tuple[str, rsa.RSAPublicKey]] = field(default_factory=dict)
    """Key id to the e-mail of its service account, and the public key. A key that is deleted is taken out."""
    logins: dict[str, str] = field(default_factory=dict)
    """Refresh token to the e-mail of who logged in."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Access token to whose it is."""

    def now(self) -> float:
        return time.time() + self.ahead_s

    def token(self, whose: str) -> str:
        """A new access token."""
        made = f"ya29.front-{next(_number)}"
        self.tokens[made] = whose
        return made

    def login(self, email: str) -> str:
        """A new refresh token."""
        made = f"1//front-{next(_number)}"
        self.logins[made] = email
        return made

    def key(self, email: str, project: str) -> dict[str, str]:
        """A new key of a service account, as the JSON file that Google hands out."""
        private = rsa.generate_private_key(65537, 2048)
        identity = f"front-key-{next(_number)}"
        self.keys[identity] = (email, private.public_key())
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": identity,
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        }

    def known(self, token: str) -> bool:
        """Whether an API accepts this bearer token."""
        if token in self.tokens:
            return True
        try:
            self.claims(token)
        except Refused:
            return False
        return True

    def claims(self, assertion: str) -> dict[str, Any]:
        """The claims of what a service account has signed itself. Raises Refused, in Google's words."""
        try:
            head, body, signature = assertion.split(".")
            key, claims = json.loads(_decoded(head))["kid"], json.loads(_decoded(body))
        except (ValueError, KeyError) as error:
            raise Refused("invalid_request", "Bad Request") from error
        email, public = self.keys.get(key, ("", None))
        if public is None or email != claims.get("iss"):
            raise Refused("invalid_grant", "Invalid JWT Signature.")
        try:
            public.verify(_decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise Refused("invalid_grant", "Invalid JWT Signature.") from error
        if claims["iat"] > self.now() + SKEW_S or claims["exp"] < self.now():
            raise Refused(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim.",
            )
        return dict(claims)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
