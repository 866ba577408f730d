"""A push config, kept exactly: bytes that hold every field, those of a newer API included, and words for people."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.redact import endpoint as redacted_endpoint
from diagnostics.evidence.redact import redact, redact_value
from diagnostics.evidence.secrets.spans import GONE
from diagnostics.shell.commands import command

LABEL = "pubsub-diag-probe"
"""On whatever a probe made or changed; its value is the run."""
UNTIL = "pubsub-diag-probe-until"
"""Beside it: Unix second at which the probe is over at the latest."""


class Saved(Struct, frozen=True, kw_only=True):
    """A push config outside Google: what a journal holds."""

    wire: str
    """google.pubsub.v1.PushConfig in its wire format, base64. This is what is restored."""
    endpoint: str = ""
    """The same in words, for whoever reads the journal: endpoint, account, audience, wrapper, attributes."""
    account: str = ""
    audience: str = ""
    wrapper: str = ""
    attributes: dict[str, str] = {}


def save(push: Any) -> Saved:
    """Of a google.pubsub.v1.PushConfig (the plain protocol buffer)."""
    return Saved(
        wire=base64.b64encode(push.SerializeToString(deterministic=True)).decode(),
        endpoint=push.push_endpoint,
        account=push.oidc_token.service_account_email,
        audience=push.oidc_token.audience,
        wrapper=_wrapper(push),
        attributes=dict(push.attributes),
    )


def load(saved: Saved) -> Any:
    """The PushConfig again. Raises ValueError when what was saved is damaged."""
    from google.protobuf.message import DecodeError
    from google.pubsub_v1 import types

    try:
        push = types.PushConfig.pb().FromString(base64.b64decode(saved.wire, validate=True))
    except DecodeError as error:
        raise ValueError(f"the saved push config cannot be read: {error}") from error
    if save(push) != saved:
        raise ValueError("the saved push config contradicts itself")
    return push


def same(one: Any, other: Any) -> bool:
    return bool(one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True))


def differences(wanted: Any, found: Any) -> list[str]:
    """Names of the fields in which two push configs differ."""
    names = [f.name for f in wanted.DESCRIPTOR.fields]
    unlike = [n for n in names if _field(wanted, n) != _field(found, n)]
    return unlike or ([] if same(wanted, found) else ["a field of a newer API"])


def undo_line(subscription: str, saved: Saved, hide: bool = False) -> str:
    """The gcloud line that restores the push config by hand and takes the probe's labels off. `hide`: without secrets, so not to run."""
    _, project, _, name = subscription.split("/")
    shown = redacted_endpoint if hide else str
    words = "gcloud pubsub subscriptions update {name} --project={project} --push-endpoint={endpoint}"
    words += " --push-auth-service-account={account}" if saved.account else ""
    words += " --push-auth-token-audience={audience}" if saved.audience else ""
    words += " --push-no-wrapper" if saved.wrapper.startswith("no_wrapper") else ""
    words += " --push-no-wrapper-write-metadata" if saved.wrapper == "no_wrapper with metadata" else ""
    return command(
        words + " --remove-labels={labels}",
        name=name,
        project=project,
        endpoint=shown(saved.endpoint),
        account=saved.account,
        audience=shown(saved.audience),
        labels=f"{LABEL},{UNTIL}",
    )


def shown(saved: Saved) -> Saved:
    """As it may be printed: without what may be a secret, and then not to be restored from."""
    if not may_hold_secret(saved):
        return saved
    return Saved(
        wire=GONE,
        endpoint=redacted_endpoint(saved.endpoint),
        account=saved.account,
        audience=redacted_endpoint(saved.audience),
        wrapper=saved.wrapper,
        attributes={redact(name): redact_value(name, value) for name, value in saved.attributes.items()},
    )


def may_hold_secret(saved: Saved) -> bool:
    """Whether endpoint or audience carry a query, a fragment or user info, where people put tokens, or anything in it looks like one: a
    part of a path, an attribute."""
    urls = (saved.endpoint, saved.audience)
    parts = [urlsplit(url) for url in urls]
    shown = any(redact(url) != url for url in urls) or any(
        redact(name) != name or redact_value(name, value) != value for name, value in saved.attributes.items()
    )
    return shown or any(p.query or p.fragment or "@" in p.netloc for p in parts)


def _wrapper(push: Any) -> str:
    which = push.WhichOneof("wrapper")
    if which == "no_wrapper" and push.no_wrapper.write_metadata:
        return "no_wrapper with metadata"
    return which or ""


def _field(push: Any, name: str) -> Any:
    """The field, None where it is a message that is not set: set and empty is not the same as not set."""
    if name == "attributes":
        return dict(push.attributes)
    if name == "push_endpoint":
        return push.push_endpoint
    return getattr(push, name).SerializeToString(deterministic=True) if push.HasField(name) else None
