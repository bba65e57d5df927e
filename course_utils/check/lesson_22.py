"""Exercises of lesson 22: a field of fog, its light, and its faces."""

import torch

from course_utils.check import Exercise

# 22.1: what each sample of a ray weighs


def _weights(density, step):
    absorbed = density * step
    through = torch.exp(-(absorbed.cumsum(-1) - absorbed))
    return through * (1 - torch.exp(-absorbed))


def _hidden_by_itself(density, step):
    absorbed = density * step
    return torch.exp(-absorbed.cumsum(-1)) * (1 - torch.exp(-absorbed))


def _from_behind(density, step):
    return _weights(density.flip(-1), step).flip(-1)


def _no_length(density, step):
    return _weights(density, 1.0)


def _only_through(density, step):
    absorbed = density * step
    return torch.exp(-(absorbed.cumsum(-1) - absorbed))


def _in_the_ray_of_others(density, step):
    absorbed = density * step
    through = torch.exp(-(absorbed.cumsum(0) - absorbed))
    return through * (1 - torch.exp(-absorbed))


def _rays() -> list[tuple]:
    generator = torch.Generator().manual_seed(22)
    sizes = ((6,), 0.3), ((3, 5), 0.7), ((2, 3, 8), 0.1)
    return [(4 * torch.rand(*size, generator=generator), step) for size, step in sizes]


# 22.2: shade


def _lit(albedo, normal, light, ambient):
    falls = (normal * light).sum(-1, keepdim=True).clamp(min=0)
    return albedo * (ambient + (1 - ambient) * falls)


def _dark_side(albedo, normal, light, ambient):
    falls = (normal * light).sum(-1, keepdim=True)
    return albedo * (ambient + (1 - ambient) * falls)


def _both_sides(albedo, normal, light, ambient):
    falls = (normal * light).sum(-1, keepdim=True).abs()
    return albedo * (ambient + (1 - ambient) * falls)


def _brighter(albedo, normal, light, ambient):
    falls = (normal * light).sum(-1, keepdim=True).clamp(min=0)
    return albedo * (ambient + falls)


def _shade_only(albedo, normal, light, ambient):
    falls = (normal * light).sum(-1, keepdim=True).clamp(min=0)
    return (ambient + (1 - ambient) * falls).expand_as(albedo)


def _not_summed(albedo, normal, light, ambient):
    return albedo * (ambient + (1 - ambient) * (normal * light).clamp(min=0))


def _lamps() -> list[tuple]:
    generator = torch.Generator().manual_seed(2)

    def unit(*size: int) -> torch.Tensor:
        drawn = torch.randn(*size, 3, generator=generator)
        return drawn / drawn.norm(dim=-1, keepdim=True)

    sizes = ((8,), 0.5), ((4, 4), 0.1), ((2, 3, 3), 0.8)
    return [
        (torch.rand(*size, 3, generator=generator), unit(*size), unit(), ambient)
        for size, ambient in sizes
    ]


# 22.3: fronts where none is


def _janus(read, words):
    others = [a for a, b in zip(read, words, strict=True) if b != "front"]
    return others.count("front") / len(others)


def _all_fronts(read, words):
    return read.count("front") / len(read)


def _of_all(read, words):
    return _janus(read, words) * sum(b != "front" for b in words) / len(words)


def _counted(read, words):
    return _janus(read, words) * sum(b != "front" for b in words)


def _any_mistake(read, words):
    pairs = [(a, b) for a, b in zip(read, words, strict=True) if b != "front"]
    return sum(a != b for a, b in pairs) / len(pairs)


def _looks() -> list[tuple]:
    words = ["front", *["side"] * 4, *["back"] * 2, *["side"] * 4, "front"]
    return [
        (["front"] * 5 + ["back", "side", "front"] + ["side"] * 4, words),
        (["side", "front"] * 6, words),
        (["side", "back", "front", "front"], ["front", "back", "side", "overhead"]),
    ]


EXERCISES = {
    "22.1": Exercise(
        reference=_weights,
        cases=_rays,
        mistakes={
            "Your sample stands in its own way: what gets there has passed the samples "
            "before it, not itself. Take it out of the sum again.": _hidden_by_itself,
            "You look from behind: the camera is at the first sample.": _from_behind,
            "The length of a sample is missing: density times step is what it "
            "absorbs.": _no_length,
            "That is the light that gets there. How much of it does the sample stop? "
            "Multiply.": _only_through,
            "That is what each sample stops of full light. Those before it have taken "
            "their share: T is missing.": (
                lambda density, step: 1 - torch.exp(-density * step)
            ),
            "Density times step may be more than 1, and nothing stops more than all "
            "light: 1 - exp(-density step).": (
                lambda density, step: _only_through(density, step) * density * step
            ),
            "You summed over the rays. The samples are the last axis.": (
                _in_the_ray_of_others
            ),
        },
        hint="First the share that each sample stops. Then what is left of the light "
        "when it gets there: the sum runs over the samples before, the sample itself "
        "not among them. `cumsum` minus itself.",
        praise="Right: eq. 3 of NeRF, for any number of rays.",
    ),
    "22.2": Exercise(
        reference=_lit,
        cases=_lamps,
        mistakes={
            "What is turned away from the lamp gets less than none. Clamp the dot "
            "product at 0.": _dark_side,
            "Your lamp shines from both sides: max(0, n l), not its size.": _both_sides,
            "Ambient light and the lamp's share must add up to 1: a + (1 - a) ...": (
                _brighter
            ),
            "That is the light. The thing has a colour, too: times albedo.": (
                _shade_only
            ),
            "A dot product is one number: sum over the last axis, keepdim=True.": (
                _not_summed
            ),
        },
        hint="The dot product over the last axis, kept as an axis of one. What is "
        "turned away from the lamp gets none of it, but it does get its ambient share.",
        praise="Right: section 3.1 of DreamFusion.",
    ),
    "22.3": Exercise(
        reference=_janus,
        cases=_looks,
        mistakes={
            "You counted fronts everywhere. The cameras in front are right to see one: "
            "leave them out.": _all_fronts,
            "Right on top; but divide by the cameras that are not in front, not by "
            "all.": _of_all,
            "That is how many. Divide by the cameras that are not in front.": _counted,
            "Those are all mistakes of the judge. A side that is read as a back is no "
            "second face: count fronts only.": _any_mistake,
        },
        hint="Leave the cameras in front out first: they are right to see a front. "
        "Then count, and divide by how many are left.",
        praise="Right: 0 for a toy with one face, 1 for a face wherever you look.",
    ),
}
