"""What nobody outside Google has verified and the code must be right under either way, and what this project tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from diagnostics.run.selftest.shape import told
from diagnostics.run.selftest.watcher import Watcher

READING = "cannot be told by reading"
"""Why some are not answered: whoever wants to know has to publish, pull, change or wait."""
NOT_HERE = "nothing was seen that tells"


@dataclass(frozen=True)
class Fact:
    """One open question."""

    code: str
    question: str
    seen: Callable[[Watcher], Mapping[str, int]] | None = None
    """What tells, and how often; None: it cannot be told by reading."""


def answers(watcher: Watcher) -> dict[str, Any]:
    """Each open question with what was seen, or why nothing was."""
    found: dict[str, Any] = {}
    for fact in FACTS:
        seen = told(fact.seen(watcher)) if fact.seen else {}
        found[fact.code] = {"question": fact.question, "seen": seen or (NOT_HERE if fact.seen else READING)}
    return found


def _of(part: str, what: str) -> Callable[[Watcher], Counter[str]]:
    return lambda watcher: watcher.entries.count(part, what)


def _where(part: str, what: str, *words: str) -> Callable[[Watcher], Counter[str]]:
    """Those of a tally that have one of these words."""
    return lambda watcher: Counter(
        {k: n for k, n in watcher.entries.count(part, what).items() if any(w in k for w in words)}
    )


def _logged(what: str) -> Callable[[Watcher], Counter[str]]:
    """One tally of the logs that programs write to."""
    return lambda watcher: Counter(
        {
            f"{log}: {k}": n
            for log, of in watcher.entries.logs(what).items()
            if "cloudaudit" not in log
            for k, n in of.items()
        }
    )


def _raw(*words: str) -> Callable[[Watcher], Counter[str]]:
    return lambda watcher: Counter(
        {
            f"{metric.rpartition('/')[2]}: {k}": n
            for metric, of in watcher.points.raw().items()
            for k, n in of.items()
            if any(w in k for w in words)
        }
    )


def _push_codes(watcher: Watcher) -> Counter[str]:
    return Counter(
        {k: n for k, n in watcher.points.values("response_code").items() if k.startswith("push_request_count")}
    )


def _delays(watcher: Watcher) -> Counter[str]:
    steps = ((1, "within a second"), (10, "within 10 s"), (60, "within a minute"), (float("inf"), "later"))
    found: Counter[str] = Counter()
    for log, delays in watcher.entries.delays().items():
        found.update(f"{log}: {next(says for most, says in steps if delay <= most)}" for delay in delays)
    return found


def _uris(watcher: Watcher) -> Counter[str]:
    """Beside services whose default address is switched off: what their `uri` holds."""
    off = watcher.field("run.get_service", "default_uri_disabled")
    return (
        Counter({f"uri: {k}": n for k, n in watcher.field("run.get_service", "uri").items()})
        + Counter({f"default_uri_disabled: {k}": n for k, n in off.items()})
        if off
        else Counter()
    )


FACTS: tuple[Fact, ...] = (
    Fact("push_code_style", "How does Google write the response_code of a push that was refused?", _push_codes),
    Fact(
        "request_log_time",
        "Is the entry of a request stamped with its begin or with its end?",
        _of("requests", "timestamp"),
    ),
    Fact("minting", "What does push_request_count show while no token can be minted?", _push_codes),
    Fact(
        "zero_points_min",
        "For how long does a counter go on with zeros after its last event?",
        _raw("zero", "first and last"),
    ),
    Fact("gap_share", "In how many minutes does a gauge have no point?", _raw("without a point", "first and last")),
    Fact("traces", "Do the applications' lines bear the trace of their request?", _logged("trace")),
    Fact(
        "uptime_checks",
        "Do uptime checks call the services, and what are they answered?",
        _of("requests", "uptime checks"),
    ),
    Fact("audience_text", "Which sentence does a wrong audience get?", _where("requests", "sentences", "401:")),
    Fact(
        "invoker_text", "Which sentence does a caller without the right get?", _where("requests", "sentences", "403:")
    ),
    Fact("idle_full", "How long do idle instances survive?"),
    Fact("oldest_first", "Which message does a subscription deliver first after a pause?"),
    Fact("token_reuse_s", "How long does Pub/Sub use a token that it has minted?"),
    Fact("snapshot_brings_older", "Does a subscription that is sought to a snapshot get older messages?"),
    Fact("pull_counts", "Does a pull count as a delivery attempt?"),
    Fact("change_over_s", "How long does a switch between push and pull take?"),
    Fact("seek_settles_s", "How long does a seek take to be effective?"),
    Fact("short_pulls", "How often does a pull return fewer messages than there are?"),
    Fact("pending_outlives_caller", "Is a request that waits for an instance forgotten when its caller hangs up?"),
    Fact(
        "short_log_pages",
        "How often is a page of logs short or empty though there are more?",
        lambda watcher: watcher.pages(),
    ),
    Fact("deploy_sets_policy", "Does a deploy set the policy of its service again without a change?"),
    Fact("policy_changes", "Where does a change of a policy say what it changed?", _of("audit", "policy changes")),
    Fact(
        "policy_labels",
        "Does a change of a service's policy bear the service's name as a label?",
        _where("audit", "resources", "SetIamPolicy", "SetIAMPolicy"),
    ),
    Fact(
        "system_events",
        "What does Cloud Run write itself when a service is deployed?",
        _where("audit", "methods", "system_event"),
    ),
    Fact(
        "metrics_begin_unknown",
        "Which of our metrics are not known before the first event?",
        lambda w: Counter(w.points.unknown()),
    ),
    Fact("severities", "Which severity do lines of text have, by log?", _logged("severity")),
    Fact("log_delay", "How long after its time does an entry arrive?", _delays),
    Fact("callers", "With which user agents do pushes call?", _of("requests", "callers")),
    Fact(
        "ended_by_google",
        "With which status and sentence does Cloud Run end requests?",
        _where("requests", "answers", "cloud_run"),
    ),
    Fact("hosts", "To which kinds of hosts do subscriptions push?", lambda watcher: watcher.hosts),
    Fact("run_developer", "May somebody with roles/run.developer invoke services?", lambda watcher: watcher.roles),
    Fact("default_uri", "Is a service's uri empty when its default address is switched off?", _uris),
)
"""Those that the lab draws from its seed, under its names, and those that no public page settles."""
