"""Where a batch's state is read: one module a kind of place, asked in the order of the profile.

The state is what the coordinator keeps of a batch beside its log: how many items it expects, how many it counts as done, whether it is
closed. A profile names one place or several, as [batch_state] or [[batch_state]]:

* `status`: a GET that answers JSON, of the coordinator's own URL or of one that the profile names;
* `firestore`: the document itself, through Firestore's API (extra `firestore`), where the coordinator takes no calls from outside;
* `command`: a program of the user's that prints JSON, for SQL, Redis and all else. Only a profile names it; no bundle carries it;
* `log`: nothing but the coordinator's lines.

The first that knows the batch gives the state, and what failed before it is kept with it. What one says is untrusted whoever it is:
types and counts are checked, texts redacted (`told`). A state read now is that of a past moment only where times tell that nothing
was written since, or the coordinator's log takes it back (`past.rewind_batch`).
"""

from diagnostics.sources.batch_state.ask import batch_status
from diagnostics.sources.batch_state.kept import open_batches
from diagnostics.sources.batch_state.status import CoordinatorUrl, coordinator_url

__all__ = ["CoordinatorUrl", "batch_status", "coordinator_url", "open_batches"]
