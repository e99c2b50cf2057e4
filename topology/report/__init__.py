"""The regulator's figures: complaints as the DSA wants them reported, and what became of each statement of reasons.

Read `complaint` (one complaint and how it ended), `figures` (counting them), `template` (the official table), then
`reader` and `command`. All but the last two are pure.
"""
