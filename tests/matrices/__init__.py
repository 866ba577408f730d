"""What holds the verdict: four matrices made by machine from the scenarios and from bundles that were kept.

Each is a module that runs by itself (`python -m tests.matrices.blindness`) and a make target; `test_samples` runs a little of each.
`outcomes` has distractors and pairs for what came of batches.
What is missed goes into `.matrices/`, with both answers.
"""

from diagnostics.scoring.world import seldom_collect

seldom_collect()
