"""The postmortem of one batch, written from what was kept of it.

model.py      what a postmortem says: plain data
merged.py     what several runs saw, as one
moments.py    begin and end of impact, when it could be and was noticed, and the durations between them
timeline.py   what happened, in order, from every source
curves.py     numbers over time
reasons.py    causes, hypotheses, gaps, residue, recurrence, actions
lessons.py    what went well, badly, and was luck
front.py      the first page: status, summary, detection, resolution
links.py      addresses in the Cloud Console
build.py      runs in, postmortem out
html.py, page.html.j2, charts.py    as one page that needs nothing else
markdown.py   as Markdown that pastes
"""
