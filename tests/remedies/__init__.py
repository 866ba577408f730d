"""Each remedy is proven: the Mitigation of a cause's runbook is applied to a running lab, and the diagnosis is asked again."""
