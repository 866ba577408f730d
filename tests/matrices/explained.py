"""Why a pair's miss is one that is known, in the words of whoever looked at it: what the evidence of such a night leaves undecided, what
the tallies count otherwise than a person would, or what the diagnosis does not see yet.

Each entry names a kind of meeting, never one pair. A miss that no entry fits fails `make pairs`; wrong confirmed causes and false
all-clears are never explained.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    what: str
    """Regular expression: the kind of the miss and what it is of, "not named poison-retry-storm@request"."""
    pair: str
    """Regular expression, found in the names of the two scenarios."""
    why: str
    answer: str = ""
    """Regular expression that the answer has to hold, too; empty: any answer."""

    def fits(self, told: str, pair: str, answer: str) -> bool:
        found = ((self.what, told), (self.pair, pair), (self.answer, answer))
        return all(re.search(pattern, text) for pattern, text in found)


UNDECIDED = "undecided"
"""The evidence of that night does not tell; what can be told is told."""
COUNTED = "counted otherwise"
"""The tallies give each item to one of two that would both hold it."""
WEAK = "weak"
"""A person would see it; the diagnosis does not yet."""

FAILS = "every-item-fails|worker-lacks-a-right|downstream-limits-worker|downstream-fails"
"""Causes by which every item fails in the program."""
DIES = "worker-crashing|environment-lost-in-deploy|out-of-memory|server-timeout-kills-work|liveness-probe-kills"
"""Causes by which containers go away."""

KILLS = "server-timeout-kills-work|liveness-probe-kills|out-of-memory"
"""Of these, the ones by which they go away at work."""
BAD = "poison-retry-storm|reason-that-never-passes|retries-meet-leftovers"
"""Causes by which some messages fail."""

PUBLISHES = (
    "publish-failing|publish-quota-exceeded|publisher-role-missing|publish-denied-by-policy|request-topic-missing|request-topic-name-wrong|"
    "region-not-allowed|schema-refuses-messages|message-too-large"
)
"""Causes by which Pub/Sub takes nothing of what is published."""

KNOWN = (
    Known(
        r"^not named publish-quota-exceeded@completion",
        r"completions-refused-for-quota",
        f"{UNDECIDED}: completions go to a topic that is not there, and none comes as far as the quota",
        answer=r"completion-topic-misnamed@completion",
    ),
    Known(
        r"^role (every-item-fails|out-of-memory)@request latent confirmed: it holds \d+ items",
        r"detached-and-another-made-beside-it",
        f"{COUNTED}: items that were dropped with the subscription had met the other fault before; it holds none any more",
    ),
    Known(
        r"^role (cold-start-exceeds-ack-deadline|work-longer-than-ack-deadline)@request (latent confirmed: it holds \d items|"
        r"blocks confirmed: it holds no item)",
        r"cold-start-late-but-work-done|work-goes-on-past-the-deadline|ten-seconds-for-work-of-nine",
        f"{COUNTED}: a few items used up their tries on pushes that expired; they are told as dead letters, or as what their pushes "
        "met until then, and the tallies give each to what it met last",
    ),
    Known(
        r"^not named cold-start-exceeds-ack-deadline@request",
        r"cold-start-late-but-work-done|cold-start-exceeds-ack-deadline",
        f"{UNDECIDED}: the few pushes that expired while an instance started were done all the same, or lie among many that wait "
        "for another reason",
    ),
    Known(
        r"^not named max-instances-saturated",
        r"receipts-lost-while-it-runs|closing-rule-comes-first|a-few-orders-at-their-first-tries",
        f"{UNDECIDED}: the refusals for want of a place are over once nothing gets as far as an instance, or what was refused is gone",
    ),
    Known(
        r"^(latent )?not named completion-contention",
        r"first-writes-meet-contention",
        f"{UNDECIDED}: of the few writes that met others some went through at their next try, and the rest lies in the dead-letter topic "
        "or waits behind the other fault",
    ),
    Known(
        r"^not named completions-not-recorded",
        r"first-writes-meet-contention.*store-denies|store-denies.*first-writes-meet-contention",
        f"{UNDECIDED}: writes are refused for two reasons, and the one with which they began is named",
    ),
    Known(
        r"^not named (reason-that-never-passes|failed-items-awaited)@request",
        r"expired-empty-handed",
        f"{WEAK}: of a batch that was closed with nothing recorded what kept all of it back is named, and not what a few dead letters met",
        answer=r"subscription-deleted@completion blocks",
    ),
    Known(
        r"^latent not named second-push-subscription@request",
        r"two-subscriptions-to-one-worker",
        f"{COUNTED}: the first subscription is attached to no topic, so that the second is all that there is, and does no work twice",
        answer=r"subscription-not-attached@request",
    ),
    Known(
        r"^not named (work-after-the-response|endpoint-answers-no-ack|request-timeout-cuts-work|messages-purged|"
        r"messages-outlived-retention)@request",
        r"kept-ten-minutes-and-one-container",
        f"{UNDECIDED}: what was not acked within ten minutes is gone, so that no push tells any more what it had met; that it is gone, or "
        "what most pushes met, is named",
    ),
    Known(
        r"^not named batch-forgotten-at-restart",
        r"restart-forgets-the-batch",
        f"{UNDECIDED}: the completions that the container that went had counted are told as not counted only where the batch state and all "
        "lines are of one time; another fault keeps most items from coming that far",
    ),
    Known(
        r"^role completions-not-awaited@completion blocks probable: it holds no item",
        r"receipts-subscription-made-anew|completion-topic-made-again",
        f"{WEAK}: receipts that were sent into the minute in which their subscription or topic was away look like receipts that were never "
        "sent; it is probable only",
    ),
    Known(
        r"^(not named completions-not-awaited|role completion-publisher-role-missing@completion blocks probable)",
        r"enough-is-not-done-yet|completions-not-waited-for",
        f"{UNDECIDED}: of the receipts that are missing some were refused, some never sent, and of what has no line nobody can say which",
    ),
    Known(
        r"^role reason-that-never-passes@request worsens confirmed: no item met it",
        r"poison-of-other-orders-is-latent",
        f"{WEAK}: other batches' bad messages come to the containers that die, too; they are said to worsen it",
    ),
    Known(
        r"^role [\w-]+@(request|completion) blocks confirmed: it holds no item",
        r"subscription-of-a-deleted-topic|grant-came-back-after-the-messages-were-gone|orders-lost-without-a-word|worker-service-deleted|"
        r"subscription-made-anew-in-mid-batch",
        f"{COUNTED}: either would hold them; the tallies give what no subscription keeps, or what met another refusal, to that alone",
    ),
    Known(
        r"^not named subscription-made-anew@request",
        r"subscription-made-anew-in-mid-batch",
        f"{COUNTED}: in that night the batch was published while the subscription was away; that it was deleted and made again is named so",
        answer=r"subscription-deleted@request blocks",
    ),
    Known(
        r"^(latent )?not named (worker-lacks-a-right|every-item-fails|push-account-gone|stuck-batch-blocks-start)",
        r"batch-in-the-way-is-stuck-itself|reset-blocks-next-start|two-subscriptions-to-one-worker|work-longer-than-the-longest-deadline",
        f"{UNDECIDED}: nothing of the batch comes as far as that, and what others met there is of another kind or over",
    ),
    Known(
        r"^(latent )?not named completion-publish-failing@completion",
        r"completion-topic-forgotten-at-set-up|completion-topic-made-again",
        f"{UNDECIDED}: of a topic that the worker's lines call missing nobody knows what it would refuse",
    ),
    Known(
        r"^not named cannot-scale-fast-enough",
        r"burst-below-the-maximum",
        f"{UNDECIDED}: the burst is over, and nothing comes back that would tell how many got through",
        answer=r"subscription-deleted@completion blocks confirmed",
    ),
    Known(
        r"^not named gated-batch-never-closes",
        r"closed-by-hand-with-nothing-done",
        f"{COUNTED}: what was gated keeps a batch open no more that was closed by hand",
    ),
    Known(
        r"^not named reason-that-never-passes",
        r"gate-keeps-all-back.*retries-meet-a-half-done-record|retries-meet-a-half-done-record.*gate-keeps-all-back",
        f"{UNDECIDED}: one item of two is left, at its first tries",
    ),
    Known(
        r"^role (environment-lost-in-deploy|worker-lacks-a-right|endpoint-answers-no-ack)@request",
        r"environment-replaced-and-a-grant-taken|passes-the-ledgers-403-on|two-faults-no-ack-and-agent-may-not-dead-letter",
        f"{COUNTED}: pushes expire while an instance starts, before the program answers; either would hold the item",
    ),
    Known(
        r"^not named publish-quota-exceeded@completion",
        r"completions-refused-for-quota",
        f"{COUNTED}: in that night the quota runs out while requests are published, too; it is named where it hit them",
        answer=r"publish-quota-exceeded@request",
    ),
    Known(
        r"^not named reason-that-never-passes@request",
        r"tries-used-up-and-not-counted-yet",
        f"{COUNTED}: by the time of that night the counter tells that their tries are used up, and what the batch waits for are dead "
        "letters; the tallies give them to the reason for which they failed",
        answer=r"(failed-items-awaited|attempts-used-up)@request",
    ),
    Known(
        r"^not named reason-that-never-passes@request",
        r"all-skipped-without-completion.*tries-used-up-and-not-counted-yet",
        f"{WEAK}: all others are skipped before the work, so that all that came to the work failed, told as an outage; a person "
        "would leave open whether they fail again",
        answer=r"attempts-spent-in-an-outage@request blocks",
    ),
    Known(
        r"^role (skip-acked-without-completion|completions-not-awaited)@completion (blocks|worsens)",
        r"late-work-done-again|work-goes-on-past-the-deadline",
        f"{COUNTED}: the worker answered after Pub/Sub had hung up, so that the message waits to be pushed again; what became of its "
        "completion is the same each time",
        answer=r"work-longer-than-ack-deadline@request blocks",
    ),
    Known(
        r"^role push-account-gone@request blocks",
        r"worker-service-deleted",
        f"{COUNTED}: without its account no push has a token, and without the service none has a receiver: either would hold them all",
        answer=r"service-gone@request latent",
    ),
    Known(
        r"^role completion-publisher-role-missing@completion blocks probable",
        r"answers-first-and-sleeps",
        f"{UNDECIDED}: that nothing was ever published fits a worker that stands still and one that may not publish; both are probable",
        answer=r"work-after-the-response@request blocks probable",
    ),
    Known(
        r"^role cold-start-exceeds-ack-deadline@request latent",
        rf"{KILLS}",
        f"{COUNTED}: a push expires while the container starts, and the work is killed after that; either would hold the item",
        answer=rf"({KILLS})@request blocks confirmed",
    ),
    Known(
        r"^(not named|latent not named) worker-lacks-a-right",
        r"passes-the-ledgers-403-on",
        f"{WEAK}: where some items get through, a right that is denied for the others is printed as their reason that never passes",
        answer=r"reason-that-never-passes@request",
    ),
    Known(
        r"^not named worker-lacks-a-right",
        r"work-longer-than-the-longest-deadline",
        f"{UNDECIDED}: no item comes to the end of its work, where it would be denied something",
        answer=r"work-longer-than-any-deadline@request blocks",
    ),
    Known(
        r"^latent not named completion-publisher-role-missing",
        r"",
        f"{WEAK}: the right to publish is looked into where something was refused for want of it, and no completion of this batch came to "
        "be published",
    ),
    Known(
        r"^latent not named (region-not-allowed|schema-refuses-messages|publish-denied-by-policy|request-topic-name-wrong)",
        r"",
        f"{WEAK}: what Pub/Sub would refuse shows where something is published, and another thing keeps all of this batch from it",
        r"HERE (requested|created|completion.requested|request.published)",
    ),
    Known(
        r"^not named (push-|poison|cold-start|completions-not|completion-contention|batch-record-gone)",
        r"pulled-while-slow-items-wait",
        f"{WEAK}: in pull mode the subscription has no push settings, so what was wrong with its pushes before is printed (as pushes that "
        "fail, unexplained, or as the change that took the grant), and not named",
    ),
    Known(
        rf"^not named (max-instances-saturated|{DIES})",
        r"(saturated|draining|max-instances).*(crash|env-vars|out-of-memory|no-dead-letter-topic)|"
        r"(crash|env-vars|out-of-memory|no-dead-letter-topic).*(saturated|draining|max-instances)",
        f"{UNDECIDED}: a worker that crashes lets go of its place at once, and refusals for want of a place are few beside the crashes, "
        "or the other way about; the one that answers most pushes is named",
    ),
    Known(
        r"^not named max-instances-saturated",
        r"saturated|draining",
        f"{UNDECIDED}: the refusals for want of a place are past and drained, or drowned by what came with the deploy",
    ),
    Known(
        r"^not named cold-start-exceeds-ack-deadline",
        r"saturated|draining|max-instances|work-longer-than|completion-topic|real-stall",
        f"{WEAK}: a few pushes that expire while an instance starts look like those that expire at work or in the queue, so they are "
        "printed as expired and given to neither",
    ),
    Known(
        r"^not named attempts-spent-in-an-outage",
        r"attempts-were-spent",
        f"{UNDECIDED}: no instance was counted since pushes were turned away for want of one, so that nothing tells whether they would "
        "find one now; that it was the maximum is said to be probable",
        answer=r"max-instances-saturated@request blocks probable",
    ),
    Known(
        r"^not named (attempts-used-up|attempts-spent-in-an-outage|failed-items-awaited)",
        r"attempts-(spent|used-up)|attempts-were-spent|taken-under-way-and-given-back",
        f"{COUNTED}: attempts were used up by two things, one of them live; the dead letters are printed, and the live one is named",
    ),
    Known(
        r"^(not named|latent not named) poison-retry-storm",
        r"every-item-fails|out-of-memory|half-done-record|crashing|retry-loop|attempts-used-up|items-awaited|longer-than-deadline|completion-topic|wrong-and-work",
        f"{UNDECIDED}: where all or most pushes fail by the application, those of a few bad messages do not stand out among them",
    ),
    Known(
        r"^(not named|latent not named) poison-retry-storm",
        r"poison-of-other|old-poison",
        f"{WEAK}: old bad messages without lines of their own, in a window in which nothing of the batch came: their answers are printed "
        "as unexplained (so many 400 by the application itself), and not named",
    ),
    Known(
        rf"^not named ({FAILS}|{DIES}|processed\.errors|completions-not-recorded|completion-contention|batch-record-gone)",
        r"no-grant|refuses-completions|completion-topic|completions-cannot|out-of-memory|no-dead-letter-topic",
        f"{UNDECIDED}: few of the batch's items reach the second failure before the first has them, and their answers are of one class; "
        "what was answered is printed",
    ),
    Known(
        r"^not named skip-acked-without-completion",
        r"completion-topic|topic-env-missing|real-stall",
        f"{UNDECIDED}: with the completion topic missing no completion comes, so items that would be skipped in silence are like the rest",
    ),
    Known(
        r"^latent not named (no-subscription-on-topic|completion-topic-(missing|deleted|misnamed))",
        r"topic-deleted|loop-outlives|topic-env-missing",
        f"{UNDECIDED}: of a topic that is gone nobody can tell whether it would have a subscription; of a worker that does not start, "
        "whether it would find its topic",
    ),
    Known(
        r"^latent not named push-invoker-missing",
        r"grant-that-ran-out",
        f"{WEAK}: pushes that got in before the grant's time was over vouch for it until one is refused",
    ),
    Known(
        r"^latent not named delivered\.deadline",
        r"gated|closed",
        f"{UNDECIDED}: nothing of the batch is at work any more, so that nothing expires",
    ),
    Known(
        r"^not named (delivered\.deadline|max-instances-saturated)",
        r"work-longer-than-deadline.*two-names|two-names.*work-longer-than-deadline",
        f"{UNDECIDED}: asked with two names, the expired pushes are the subscription's, and several things would expire them",
    ),
    Known(
        rf"^role ({PUBLISHES})@request blocks",
        r"publish/|quota/",
        f"{COUNTED}: two that let no item be published; the tallies give each to the first that it met, and either would hold all",
    ),
    Known(
        r"^role (poison-retry-storm|completion-topic-(?:missing|deleted|misnamed)|published-elsewhere)@\w+ latent",
        r".",
        f"{COUNTED}: items of the batch are answered like what is called latent, by something that comes earlier on their way",
    ),
    Known(
        rf"^role ({DIES})@request blocks",
        r"cold-start-exceeds",
        f"{COUNTED}: the push expires while the container starts, before it crashes; either would hold the item",
    ),
    Known(
        r"^role (left-in-pull-mode|filter-drops-messages)@request blocks",
        r"longer-than-messages-are-kept|published-to-another-topic",
        f"{WEAK}: what was dropped or went elsewhere before is given to what stands in the way now",
    ),
    Known(
        rf"^role (completion-topic-(?:missing|deleted|misnamed)@completion|({FAILS})@request|max-instances-saturated@request) blocks",
        r"skipped-without-completion|attempts-used-up|items-awaited|late-but-work-done",
        f"{COUNTED}: the items are held by both in turn; the tallies count the one that each met last",
    ),
    Known(
        r"^role .*@(request|completion) latent",
        r".",
        f"{COUNTED}: items that a seek, a new subscription or their age took away had met the other fault before; it holds none any more",
        answer="(messages-purged|subscription-made-anew|messages-outlived-retention)@(request|completion) blocks",
    ),
    Known(
        r"^not named cannot-scale-fast-enough",
        r"burst-below-the-maximum",
        f"{COUNTED}: what the burst turned away was over in minutes, and is printed as drained; the tallies count the last answer of an "
        "item that waits for a living container since, or the 500 of one that was killed for memory, as such a refusal",
        answer=rf"({DIES})@request (blocks|worsens) confirmed",
    ),
    Known(
        rf"^(not named|latent not named) ({BAD})",
        r"half-done-record",
        f"{UNDECIDED}: a request that is cut off at its timeout does not come to what would fail its item",
        answer=r"request-timeout-cuts-work@request",
    ),
    Known(
        r"^not named publish-denied-by-policy",
        r".",
        f"{WEAK}: deny policies are read where the pipeline's own topic or a push is refused, and here another topic refuses",
        answer=r"request-topic-name-wrong@request blocks confirmed",
    ),
    Known(
        r"^not named start-killed",
        r".",
        f"{UNDECIDED}: a coordinator that refuses to start at once does not come to the load over which its container would go away",
        answer=r"HERE requested: upstream-data-incomplete blocks confirmed",
    ),
    Known(
        r"^not named start-call-not-let-in",
        r"start-refused-by-its-own-check",
        f"{COUNTED}: everybody may call there, so that the front end lets in whom the grant was taken from, and the program itself answers "
        "401; the tallies take every 401 for the front end's",
    ),
    Known(
        r"^not named stuck-batch-blocks-start",
        r"publish/|quota/",
        f"{COUNTED}: the batch in the way met what keeps this one from being published, too: nothing of it is on its way, so that nothing "
        "of it can be stuck",
        answer=r"HERE created: stale-active-batch-blocks-start blocks confirmed",
    ),
    Known(
        r"^not named closed-batch-blocks-start",
        r"coordinator-internal",
        f"{UNDECIDED}: that the batch in the way is closed only its state tells, and that cannot be asked from outside",
        answer=r"HERE created: stale-active-batch-blocks-start blocks",
    ),
    Known(
        r"^latent not named (subscription-(deleted|expired)|no-subscription-on-topic)@request",
        r"two-subscriptions-to-one-worker",
        f"{COUNTED}: nothing is lost, for the second subscription pushes the same to the service; both facts are printed, and the cause "
        "would say that what is published is lost",
        answer=r"^(warning|ok) done",
    ),
    Known(
        r"^not named push-invoker-missing",
        r"pushes-carry-no-token",
        f"{UNDECIDED}: a push without a token has no account whose right could be looked for",
        answer="push-token-missing",
    ),
    Known(
        rf"^not named ({DIES}|request-timeout-cuts-work|work-longer-than-(ack|any)-deadline)",
        r".",
        f"{UNDECIDED}: a container that exits as it starts, or a program that fails at once, does not come to what would take too long "
        "or kill it at work",
        answer=rf"(environment-lost-in-deploy|worker-crashing|{FAILS})@request (blocks|worsens)",
    ),
    Known(
        rf"^(not named|latent not named) ({BAD}|{FAILS})",
        r".",
        f"{UNDECIDED}: where every push fails by one thing, what would fail some of them for a reason of their own, or all of them "
        "later in the program, does not show",
        answer=rf"({FAILS}|{DIES})@request",
    ),
    Known(
        rf"^(not named|latent not named) ({BAD})",
        r".",
        f"{UNDECIDED}: no message comes as far as the program, or none comes back from it, so that nothing tells which would fail there",
        answer=r"HERE (requested|created|request\.(published|routed|delivered)|completion)|completion-topic-(missing|deleted|misnamed)",
    ),
    Known(
        rf"^not named ({FAILS})",
        r"poison-of-other",
        f"{WEAK}: bad messages of other batches and a program that fails all: probable is the first alone",
        answer=r"poison-retry-storm@request \w+ probable",
    ),
    Known(
        r"^not named push-audience-mismatch",
        r"proxy-in-front",
        f"{UNDECIDED}: the proxy wants an audience of its own, and what is behind it is asked for none",
        answer="iap-in-front",
    ),
    Known(
        rf"^not named ({DIES})",
        r".",
        f"{UNDECIDED}: a container goes away once, for one reason: what takes it first is named",
        answer=rf"({DIES})@request (blocks|worsens)",
    ),
    Known(
        r"^latent not named (default-url-off|ingress-closed|iap-in-front)",
        r".",
        f"{UNDECIDED}: pushes go to another service, or to one that is not there: what stands at the right door no push meets",
        answer="(push-endpoint-wrong|service-gone)@request blocks",
    ),
    Known(
        r"^not named endpoint-answers-no-ack",
        r".",
        f"{UNDECIDED}: no push comes to the program that would answer so",
        answer="push-endpoint-wrong@request blocks",
    ),
    Known(
        r"^latent not named (no-subscription-on-topic|subscription-(expired|deleted))",
        r"two-subscriptions-to-one-worker",
        f"{COUNTED}: another subscription of the topic delivers all of it; that the named one is not there is printed, and holds nothing",
        answer="done",
    ),
    Known(
        r"^latent not named push-token-not-minted",
        r".",
        f"{COUNTED}: pushes carry no token either way; an account that is disabled comes before who may mint for it",
        answer="push-account-gone@request blocks",
    ),
    Known(
        rf"^(not named|latent not named) ({BAD})",
        r".",
        f"{UNDECIDED}: some messages fail, for reasons of more than one kind or of none that is told; the general cause is named",
        answer="poison-retry-storm@request",
    ),
    Known(
        rf"^not named ({BAD})",
        r".",
        f"{UNDECIDED}: most pushes find no place, and of the few that came to work two or three failed, once each",
        answer="max-instances-saturated@request worsens",
    ),
    Known(
        r"^role ingress-closed@request blocks",
        r".",
        f"{WEAK}: that none of the batch came onto the topic is probable only; pushes of older messages meet what stands at the door",
        answer="published-elsewhere@request blocks probable",
    ),
    Known(
        r"^not named [a-z-]+(@request)?$",
        r"sought-forward-in-mid-batch|made-anew-in-mid-batch",
        f"{UNDECIDED}: nothing of the batch is pushed any more, and what pushes met until then may have been over",
        answer="(messages-purged|subscription-made-anew)@request",
    ),
    Known(
        r"^not named [a-z-]+(@completion)?$",
        r"receipts-put-away-by-a-seek|receipts-subscription-made-anew",
        f"{UNDECIDED}: no completion is pushed any more, and what pushes met until then may have been over",
        answer="(messages-purged|subscription-made-anew)@completion",
    ),
    Known(
        r"^not named (messages-purged|subscription-made-anew)@completion",
        r"receipts-put-away-by-a-seek|receipts-subscription-made-anew",
        f"{UNDECIDED}: the balance of the way back is drawn from counters of the whole subscription, which also count what comes twice, "
        "and not while items get further",
    ),
    Known(
        r"^not named completions-not-awaited",
        r"results-from-a-region|do-not-match-a-schema",
        f"{WEAK}: of most items a line tells that their completion was refused, and some have none",
        answer=r"completion-publish-failing@completion blocks",
    ),
    Known(
        r"^role completion-publish-failing@completion blocks probable",
        r"results-from-a-region",
        f"{UNDECIDED}: work is acked and nothing at all was published; a worker that never came to it and a topic that takes nothing look "
        "alike",
        answer=r"work-after-the-response@request blocks probable",
    ),
    Known(
        r"^latent not named completion-publish-failing",
        r"results-from-a-region|do-not-match-a-schema",
        f"{WEAK}: what Pub/Sub would refuse shows where the change of the topic is in the log, and nothing was published since",
    ),
    Known(
        r"^(not named (cold-start|work-longer)|role scaled-to-zero-by-hand@request blocks probable)",
        r"scaled-to-zero-by-hand",
        f"{UNDECIDED}: nothing runs that could be slow, and the last pushes expired before Cloud Run had answered them",
        answer="scaled-to-zero-by-hand@request blocks probable",
    ),
    Known(
        r"^not named (cold-start|work-longer)",
        rf"{KILLS}",
        f"{UNDECIDED}: work that is killed before the deadline does not run into it",
        answer=rf"({KILLS})@request blocks",
    ),
    Known(
        r"^not named downstream-fails",
        r".",
        f"{UNDECIDED}: no item of the batch had got through on that revision, so nothing tells what the program calls from the program; "
        "or two things fail every item, and one reason is given",
        answer=rf"({FAILS})@request",
    ),
    Known(
        r"^latent not named push-denied-by-policy",
        r".",
        f"{WEAK}: deny policies are read where pushes are refused for want of a right, and here something turns them away before, or "
        "none is pushed",
        answer=r"HERE (requested|created|request\.(published|routed|delivered))",
    ),
    Known(
        r"^(not named|latent not named) work-longer-than-any-deadline",
        r".",
        f"{UNDECIDED}: no item of the batch has come to work, and how long that would take no line of it tells",
        answer=r"HERE (requested|created|request\.(published|routed|delivered))",
    ),
    Known(
        r"^not named messages-outlived-retention",
        r".",
        f"{WEAK}: that the messages are gone is printed, and put down to other messages' pushes that fail now",
        answer=r"HERE request\.routed",
    ),
    Known(
        r"^not named failed-items-awaited",
        r".",
        f"{UNDECIDED}: where all pushes are refused or fail for one thing, what would fail some of the items for reasons of their own does "
        "not come to it, or does not show: they lie among all those that used up their attempts",
        answer=rf"({FAILS}|{DIES}|max-instances-saturated)@request blocks",
    ),
    Known(
        r"^not named attempts-used-up@completion",
        r"coordinator-refuses-completions",
        f"{WEAK}: completions are refused and pushed again until now; the refusals are printed as found without a cause, and what was "
        "dead-lettered already as following from them",
        answer=r"^fault (running|stalled HERE request\.published)",
    ),
    Known(
        r"^not named attempts-spent-in-an-outage",
        r".",
        f"{UNDECIDED}: of one or two dead letters nothing tells an outage from a bad message, so that the general cause is named",
        answer=r"attempts-used-up@\w+ blocks",
    ),
    Known(
        r"^not named (completions-not-awaited|skip-acked-without-completion)",
        r".",
        f"{UNDECIDED}: no line tells that the work came to its end, and so none what would become of its completion",
        answer=r"work-after-the-response@request blocks",
    ),
    Known(
        r"^not named skip-acked-without-completion",
        r".",
        f"{UNDECIDED}: of the batch one item or two come to be skipped, the rest lies in the dead-letter topic; that they were given up is "
        "printed, and whether their completion was among those of other batches nothing tells",
        answer=r"attempts-spent-in-an-outage@request blocks",
    ),
    Known(
        r"^not named batch-forgotten-at-restart",
        r"restart-forgets-the-batch",
        f"{WEAK}: nothing of the batch was recorded before its container went, and item lines are read since the batch began: a person "
        "would see by those of the night before that each one that is counted has a line",
        answer=r"^fault stalled(:| HERE completion\.requested)",
    ),
    Known(
        r"^(not named|latent not named) reason-that-never-passes",
        r"attempts-spent-by-chance",
        f"{UNDECIDED}: by chance tries of these items fail for another reason, too, so that they do not give one reason each time; that "
        "they fail again and again is named",
        answer=r"poison-retry-storm@request",
    ),
    Known(
        r"^not named cannot-scale-fast-enough",
        r"burst-below-the-maximum",
        f"{UNDECIDED}: the burst is some minutes past; what was turned away then rests until its next try, and what is cut off by now, and "
        "how much waits, is printed",
        answer=r"^fault running",
    ),
    Known(
        r"^role (cold-start-exceeds-ack-deadline|work-longer-than-ack-deadline)@request latent",
        r"completion-topic|topic-env-missing",
        f"{COUNTED}: an item that was done after Pub/Sub had hung up, and could not be reported, is missing for want of the topic; the "
        "tallies give it to what its last push met",
        answer=r"completion-topic-\w+@completion blocks",
    ),
    Known(
        rf"^role ({BAD})@request blocks probable",
        r".",
        f"{UNDECIDED}: of an item that fails after all others are through nothing tells whether they would still get through",
        answer=rf"({BAD})@request blocks probable",
    ),
    Known(
        rf"^role ({DIES})@request blocks",
        r"crash",
        f"{COUNTED}: some items crash their container at one try and are refused at another; the tallies give each to what it met last",
        answer=rf"({BAD})@request blocks",
    ),
    Known(
        r"^role poison-retry-storm@request (worsens|blocks)|^role cold-start-exceeds-ack-deadline@request worsens",
        r"poison-of-other|half-done-record|start-exceeds",
        f"{WEAK}: failures of other batches' messages in the batch's own time are taken for some of its own",
    ),
)


def why(kind: str, what: str, pair: str, answer: str) -> str:
    """The first entry that fits; empty: nobody has explained it."""
    if kind in ("wrong confirmed", "false ok", "no answer"):
        return ""
    told = f"{kind} {what}"
    return next((known.why for known in KNOWN if known.fits(told, pair, answer)), "")
