"""race-scores: a short race of training recipes, which lesson 26 reads."""

import shutil
from pathlib import Path

from course_utils.measure import race as reading
from course_utils.recipes.race_bench import peak_megabytes as peak_megabytes  # XX
from course_utils.recipes.race_bench import race_training, runs_in_columns
from course_utils.recipes.recipe import Made

SHIPPED = dict(minutes=2.0, seeds=1, rows="plain,plain+muon,ours", small=True, n=48)

CARD = """# race-scores

A race of training recipes: `course bench training{small} --minutes {minutes:g}
--rows {rows}`, {seeds} seed(s), one thread. Each trains the same UNet on
the same pictures, captions and noise; plain is the loop of diffusers' text-to-image
example, a row plain+X has one ingredient more, a row ours-X one less. VAE and alignment
encoder are those of tiny, the text encoder that of `course train tiny-sd --small`.
race.json holds what each could do when: the error of v on held-out pictures, and
attributes of {n} captions, read by the oracle. Megabytes are those of three steps.

These are the first minutes of a training, almost no picture is all right yet, and rates
were not tuned for it: it shows what a step costs and buys early, not which recipe is
the best in the end. Seconds are the processor's, looks not counted; on a busy machine
they vary all the same: plain once made 353 steps in the 120 seconds of this table.

After {seconds:.0f} seconds, and after {steps} steps, which all have come to:

```
{table}
```

"""


def race_scores(*, steps: int | None = None, seed: int = 0) -> Made:
    """The runs of a race as SHIPPED, in race.json; `steps`, if given, are seconds."""
    if seed:
        raise ValueError(f"seed={seed}: the seeds are the first ones, seed is 0")
    options = SHIPPED | (dict(minutes=steps / 60, n=2) if steps else {})

    def make(work: Path) -> Path:
        race_training(**options, work=work, into=work / "training.json")
        return work / "training-runs.json"

    def save(file: Path, folder: Path) -> dict:
        shutil.copy(file, folder / "race.json")
        runs = reading.race_runs(file)
        seconds, steps = reading.common_ends(runs)
        return dict(seconds=seconds, steps=steps, table=runs_in_columns(runs))

    facts = options | dict(small=" --small")
    return Made(make=make, save=save, card=CARD, facts=facts, choices=dict(seeds=1))
