"""Exercises of lesson 06: the way back."""

from course_utils.check import Exercise

from . import answers_06 as answers

EXERCISES = {
    "06.1": Exercise(
        reference=answers.posterior_mean,
        cases=answers.posterior_cases,
        mistakes={
            "Your x0 gets the root of beta. Both factors come from multiplying two "
            "Gaussians: beta stands there as a variance, without a root.": (
                answers.beta_with_root
            ),
            "Your x_t gets the root of alpha_bar. One step lies between x_{t-1} and "
            "x_t, so it is the root of alpha[t], not of the product.": (
                answers.x_t_with_bar
            ),
            "In front of x_t stands alpha[t]; it should be its root: one step shrinks "
            "the picture by sqrt(alpha).": answers.alpha_without_root,
            "The factor sqrt(alpha[t]) is missing in front of x_t.": (
                answers.alpha_missing
            ),
            "Your x0 gets the root of alpha_bar[t]. We go to t - 1, so it is the root "
            "of alpha_bar[t - 1].": answers.bar_of_t,
            "The denominators are missing: both factors are divided by "
            "1 - alpha_bar[t].": answers.not_divided,
            "You divide by 1 - alpha_bar[t - 1]. Below both factors stands "
            "1 - alpha_bar[t].": answers.divided_by_before,
            "The two factors are swapped: late in the chain x_t should count for "
            "almost everything, at t = 1 x0.": answers.factors_swapped,
        },
        hint="Eq. 7, term by term. alpha_bar[t - 1] is the bar one step earlier.",
        praise="Right for every t, batch and schedule that we tried.",
        tolerance=1e-4,  # eq. 11 is as right as eq. 7, and rounds otherwise
    ),
    "06.2": Exercise(
        reference=answers.train_step,
        cases=answers.step_cases,
        outcome=answers.trained,
        mistakes={
            "You compare the prediction with x0. This network predicts the noise.": (
                answers.target_x0
            ),
            "Every picture in the batch has its own t; you use the first one's for "
            "all. Hand the whole t to add_noise and to the model.": (
                answers.one_t_for_all
            ),
            "The prediction is cut off from the network: no `.detach()`, no "
            "`torch.no_grad()` on the way to the loss.": answers.detached,
            "The loss is right, the gradients are not: loss.backward(loss) multiplies "
            "them by the loss. Write loss.backward().": answers.backward_of_loss,
            "Loss and gradients are right, but you took a step with them as well: here "
            "the weights must stay as they are.": answers.steps_too,
            "The loss is right, but no gradient has arrived in the network: call "
            "loss.backward() before you return.": answers.no_backward,
            "The network saw the clean pictures. Give it x_t.": answers.sees_clean,
            "You drew new noise for the target. The network should name the noise "
            "that is in its input: the one you were given.": answers.fresh_noise,
            "The square roots are missing in your x_t (eq. 4).": answers.no_roots,
        },
        hint="The function loss above is the first two lines, and .backward() the "
        "third.",
        praise="Right: the loss and all gradients are ours.",
    ),
    "06.3": Exercise(
        reference=answers.walk_back,
        cases=answers.walk_cases,
        mistakes={
            "There is noise in your pictures: at the last step, t = 0, add none.": (
                answers.walks(last=1.0)
            ),
            "You multiply the noise by the variance. The standard deviation is its "
            "square root.": answers.walks(power=1.0),
            "You take two steps for each t: the network is asked once a step, and "
            "then it is t - 1.": answers.walks(again=True),
            "You go from t = 0 upwards. The walk starts at the noisiest step: "
            "reversed(range(T)).": answers.walks(upwards=True),
            "You read the prediction as noise. This model predicts the clean picture, "
            "so it goes into the posterior as it is.": answers.walks(predicts="noise"),
            "You never add noise. Then all walks end in one point.": (
                answers.walks(quiet=True)
            ),
            "The posterior wants the clean picture first, then x_t.": (
                answers.walks(swapped=True)
            ),
            "You stop one step early: t = 0 is a step, too.": answers.walks(until=1),
            "That is fixed_small, the posterior's own variance. This exercise asks for "
            "fixed_large: beta[t].": answers.walks(small=True),
        },
        hint="algorithm_2 with two lines replaced: what does posterior take, and which "
        "two things does it return?",
        praise="Right: from the same noise to the same pictures as ours.",
    ),
    "06.4": Exercise(
        reference="zero",
        mistakes={
            "No. Every step pulls x_t towards the likely pictures, and the noise is "
            "what pushes it apart again. Without it the pull is all there is.": "same",
            "It is smaller, and there are a thousand steps, each of which makes it "
            "smaller again. Go to the end.": "smaller",
            "It cannot grow: the mean of each step lies nearer to the middle than what "
            "it started from.": "larger",
        },
        hint="The forward step shrinks and then adds noise, so that the variance "
        "stays. What if you go back a thousand times and only undo one of the two?",
        praise="Right. The mean alone leads every walk to one end.",
    ),
}
