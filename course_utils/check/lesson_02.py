"""Exercises of lesson 02: generative adversarial networks."""

import torch
import torch.nn.functional as F

from course_utils.check import Exercise
from course_utils.methods import gan

from . import answers_02 as answers

EXERCISES = {
    "02.1": Exercise(
        reference=gan.discriminator_loss,
        cases=answers.pairs,
        outcome=answers.slopes,
        mistakes={
            "You reward the wrong side: D should say real (large logits) to the real "
            "pictures and forged to the forgeries. Swap them.": answers.labels_swapped,
            "Half of it: D is never told about the forgeries, so it may call "
            "everything real.": answers.only_real,
            "Right where it is finite. But for a logit of 200, 1 - sigmoid is exactly "
            "0 and its logarithm is infinite. Write it with softplus.": (
                answers.logarithm
            ),
            "You sum over the batch. E means the mean, else a bigger batch takes a "
            "bigger step.": answers.sum_for_mean,
            "The number is right, but no gradient leads back to the logits, so that "
            "nobody can learn from it. Return the tensor, without .item() or "
            ".detach().": answers.number,
            "Both halves reward the same answer. D should call the forgeries forged: "
            "their half is softplus(+l).": answers.all_real,
            "You add a little inside the logarithm. That keeps it finite, and wrong "
            "for a sure D. softplus needs no such crutch.": answers.crutch,
            "Your logits go through a sigmoid and then through another one, the "
            "softplus. Leave the first out.": answers.sigmoid_twice,
        },
        hint="-log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l). "
        "Which of the two belongs to the real pictures?",
        praise="Right, and finite even where D is very sure.",
    ),
    "02.2": Exercise(
        reference=gan.generator_loss,
        cases=lambda: [(real,) for real, _ in answers.pairs()],
        outcome=answers.slopes,
        mistakes={
            "That is the saturating loss, log(1 - D(G(z))). It has hardly a gradient "
            "when D wins. Which loss keeps pushing?": gan.saturating_loss,
            "That is the saturating loss, log(1 - D(G(z))): hardly a gradient when D "
            "wins, and infinite for a fooled D. Which loss keeps pushing?": (
                lambda fake_logits: (1 - fake_logits.sigmoid()).log().mean()
            ),
            "You minimise -log(1 - D(G(z))). That is D's own wish: it makes G forge so "
            "badly that D sees it at once.": answers.helps_discriminator,
            "Right, but for the sign: this way G learns to be caught.": (
                lambda fake_logits: -gan.generator_loss(fake_logits)
            ),
            "The number is right, but no gradient leads back to the logits: return "
            "the tensor, without .item() or .detach().": (
                lambda fake_logits: gan.generator_loss(fake_logits).detach()
            ),
            "You sum over the batch. E means the mean.": (
                lambda fake_logits: F.softplus(-fake_logits).sum()
            ),
            "Right where it is finite. For a sure D the sigmoid is 0 and its logarithm "
            "infinite: write -log sigmoid(l) as softplus(-l).": (
                lambda fake_logits: -torch.sigmoid(fake_logits).log().mean()
            ),
            "You take -D(G(z)) itself. Its gradient vanishes for a sure D just as the "
            "saturating loss does: take the logarithm.": (
                lambda fake_logits: -torch.sigmoid(fake_logits).mean()
            ),
        },
        hint="G wants D to say *real* to a forgery. Take the half of D's loss that is "
        "about real pictures, and show it the forgeries.",
        praise="Right: it pulls hardest when G is losing.",
    ),
    "02.3": Exercise(
        reference=answers.discriminator_step,
        cases=answers.batches,
        outcome=answers.two_steps,
        mistakes={
            "D is right, but the gradient ran on into the generator: it now holds the "
            "gradient of *D's* wish. Detach the forgeries.": answers.no_detach,
            "D is right, but the generator is frozen for good: its weights no longer "
            "ask for a gradient. Detach the forgeries instead.": answers.freezes,
            "D is right, but you wiped out the generator's own gradient, which is not "
            "D's to touch. Detach the forgeries instead.": answers.wipes,
            "You wrote loss.backward(loss). That multiplies every gradient by the "
            "loss. Write loss.backward().": answers.backward_of_loss,
            "The first step is right, the second holds both gradients: call "
            "optimizer.zero_grad() before backward.": answers.gradients_pile_up,
            "D does not move. Either optimizer.step() is missing, or zero_grad wipes "
            "the gradient out before it: the order is zero_grad, backward, "
            "step.": answers.zero_after_backward,
            "D learns to call forgeries real: real and fake are swapped in the "
            "loss.": answers.real_for_fake,
            "That is the generator's loss; D has to see the real pictures "
            "too.": answers.generators_loss,
        },
        hint="Five lines: forge and detach, loss, zero_grad, backward, step.",
        praise="Right: D took its step, and the generator felt nothing.",
    ),
    "02.4": Exercise(
        reference=0.5,
        probability=True,
        mistakes={
            "That would be a D that always finds the real one. But where both are "
            "equally likely there is nothing to find.": 1.0,
            "That would be a D that is always wrong. It could turn its answers round "
            "and be always right.": 0.0,
            "You compared two pictures with each other. D compares real with forged, "
            "for one picture at a time.": 100 / 101,
            "It has no other picture to compare with, only this one: is it more likely "
            "to be real or forged?": 0.99,
            "That is log 4 over 2, its loss per picture. The question is what it "
            "answers.": 0.6931,
            "log 4 is its loss. The question is what it answers.": 1.3863,
        },
        hint="Put p = q into p / (p + q).",
        praise="Right: it can only guess, everywhere, for a likely picture as for an "
        "unlikely one.",
    ),
    "02.5": Exercise(
        reference=4,
        mistakes={
            "You counted the sizes, 4, 8, 16, 32, 64. A doubling is the way from one "
            "to the next.": 5,
            "64 is 16 times 4. But each layer doubles what the one before it made: 2 "
            "times 2 times ...": 16,
            "That would be the way from a single pixel. The first layer makes 4x4 at "
            "once.": 6,
            "That ends at 32x32: once more.": 3,
            "That ends at 16x16: double it on.": 2,
        },
        hint="4, 8, 16 and so on: count the arrows, not the numbers.",
        praise="Right: 4, 8, 16, 32, 64, as in figure 1 of the paper.",
    ),
}
