"""Exercises of lesson 27: real models."""

from course_utils.check import Exercise

# 27.1: how much memory a plan needs


def _offloaded(weights, active):
    return max(weights[part] + active[part] for part in weights)


def _needs_cases() -> list[tuple]:
    parts = ("text", "unet", "vae")
    gigabytes = (
        ((0.25, 1.72, 0.17), (0.0, 0.14, 0.4)),
        ((9.5, 8.6, 0.2), (0.01, 0.9, 0.4)),
        ((1.4, 7.2, 0.1), (0.1, 0.2, 9.0)),
        ((0.7, 2.8, 0.2), (0.0, 2.9, 6.8)),
    )
    pairs = [(dict(zip(parts, x, strict=True)) for x in row) for row in gigabytes]
    return [tuple(pair) for pair in pairs]


# 27.2: how long a picture takes


def _seconds(operations, calls, tflops, share):
    return operations * calls / (tflops * 1e12 * share)


def _second_cases() -> list[tuple]:
    return [(1.6e12, 50, 65, 0.3), (13.5e12, 4, 312, 0.5), (43e12, 50, 121, 0.25)]


EXERCISES = {
    "27.1": Exercise(
        reference=_offloaded,
        cases=_needs_cases,
        mistakes={
            "That is the sum of all weights: what it takes if nothing is moved. With "
            "the plan only one part is on the card at a time.": (
                lambda weights, active: sum(weights.values()) + max(active.values())
            ),
            "The largest weights and the largest work need not belong to the same "
            "part. Add up part by part, then take the largest.": (
                lambda weights, active: max(weights.values()) + max(active.values())
            ),
            "You count the weights only. What the part works on lies there too.": (
                lambda weights, active: max(weights.values())
            ),
            "Parts come one after another, so their needs are not added: take the "
            "largest.": (
                lambda weights, active: sum(weights.values()) + sum(active.values())
            ),
        },
        hint="While a part works, its own weights and its own tensors are on the card. "
        "Which part is the worst?",
        praise="Right: the greediest part decides, and sometimes it is the VAE.",
        tolerance=1e-6,
    ),
    "27.2": Exercise(
        reference=_seconds,
        cases=_second_cases,
        mistakes={
            "A TFLOP/s is 1e12 operations a second: you are off by that factor.": (
                lambda operations, calls, tflops, share: (
                    operations * calls / (tflops * share)
                )
            ),
            "You multiply by the share. A card that reaches only a part of its data "
            "sheet takes longer: divide.": (
                lambda operations, calls, tflops, share: (
                    operations * calls * share / (tflops * 1e12)
                )
            ),
            "That is one call of the network. A picture takes many.": (
                lambda operations, calls, tflops, share: (
                    operations / (tflops * 1e12 * share)
                )
            ),
            "The share is missing: no network reaches what the data sheet says.": (
                lambda operations, calls, tflops, share: (
                    operations * calls / (tflops * 1e12)
                )
            ),
        },
        hint="All operations, over the operations that the card really does in a "
        "second.",
        praise="Right. It is an estimate: the share is what you must measure.",
        tolerance=1e-6,
    ),
    "27.3": Exercise(
        reference="sd15",
        mistakes={
            "Its licence, cc-by-nc-4.0, has nc in it: not for commercial use.": (
                "zeroscope"
            ),
            "Its community licence is non-commercial too.": "stable-cascade",
            "It is the model that Zeroscope was tuned from, and as non-commercial.": (
                "modelscope"
            ),
        },
        hint="Look for 'nc' and for 'not for commercial use' in the table.",
        praise="Right: OpenRAIL-M allows it, but for the uses that its list forbids.",
    ),
}
