"""The talk's systems, each with its lesson and with what was measured there.

The README shows the table; its numbers are those that the committed lessons recorded.
"""

from collections import Counter

from course_utils.commands import choice, slides
from course_utils.commands.evidence import Lessons

# System, its paper, and a sentence in which the lesson's own scores are filled in.
SYSTEMS = (
    ("GAN, DCGAN", "Goodfellow 2014, Radford 2016",
     "tiny-FID of digits {{02.tiny_fid|.1f}}; static {{02.tiny_fid.floor|.0f}}, "
     "real ones {{02.tiny_fid.ceiling|.1f}}"),
    ("SRGAN", "Ledig 2017",
     "distance in features {{03.srgan_feature_distance|.2f}}; squared error alone "
     "{{03.mse_feature_distance|.2f}}"),
    ("pix2pix", "Isola 2017", "label maps redrawn: IoU {{03.pix2pix_iou|.2f}}"),
    ("iGAN", "Zhu 2016",
     "painted edits that succeed {{04.paint_success|.0%}}, the rest kept "
     "{{04.paint_preservation|.0%}}"),
    ("GAN-INT-CLS", "Reed 2016",
     "captions seen {{04.text_accuracy_seen|.0%}}, not seen "
     "{{04.text_accuracy_unseen|.0%}}"),
    ("DDPM", "Ho 2020",
     "tiny-FID of digits {{06.tiny_fid|.1f}}, coverage {{06.digit_coverage|.0%}}"),
    ("Score SDE", "Song 2021",
     "exact likelihood, wrong by {{07.likelihood_error_nats|.0e}} nats"),
    ("DDIM", "Song 2021",
     "after 8 calls {{08.ddim_psnr_8|.0f}} dB from where the path ends"),
    ("DPM-Solver++", "Lu 2022",
     "after 8 calls {{08.dpm_psnr_8|.0f}} dB from where the path ends"),
    ("Denoising Diffusion GAN", "Xiao 2022",
     "4 calls: clean {{08.ddgan_4_clean|.0%}}, coverage {{08.ddgan_4_coverage|.0%}}; "
     "a GAN {{08.gan_clean|.0%}}, {{08.gan_coverage|.0%}}"),
    ("Stable Diffusion", "Rombach 2022",
     "all right: one toy {{09.one_toy_all_right|.0%}}, three "
     "{{09.three_toys_all_right|.0%}}"),
    ("SDXL-Lightning", "Lin 2024",
     "one step {{10.accuracy_1|.0%}} all right, fifty {{10.accuracy_50|.0%}}; "
     "{{10.speedup_1|.0f}} times faster"),
    ("Stable Cascade", "Pernias 2024",
     "attributes right {{11.attribute_accuracy|.1%}}"),
    ("A language model writes the prompt", "Chakrabarty 2023",
     "moods read as meant {{12.elaborated_accuracy|.0%}}; drawn raw "
     "{{12.raw_accuracy|.0%}}"),
    ("Diffusion Illusions", "Burgert 2024",
     "views right: flips {{13.flip_views|.0%}}, rotations "
     "{{13.rotation_overlay_views|.0%}}, hidden {{13.hidden_overlay_views|.0%}}"),
    ("Visual Anagrams", "Geng 2024", "views right {{13.anagram_views|.0%}}"),
    ("SDEdit", "Meng 2022",
     "edits done {{14.edit_success|.0%}}, the rest kept "
     "{{14.edit_preservation|.0%}}"),
    ("DiffEdit", "Couairon 2023",
     "edits done {{15.edit_success|.0%}}, the rest kept "
     "{{15.edit_preservation|.0%}}"),
    ("Imagic", "Kawar 2023",
     "edits done {{16.picked_success|.0%}}, the rest kept "
     "{{16.picked_preservation|.0%}}"),
    ("Prompt-to-Prompt", "Hertz 2022",
     "edits done {{17.edit_success|.0%}}, the rest kept "
     "{{17.edit_preservation|.0%}}"),
    ("Null-text inversion", "Mokady 2023",
     "a given picture comes back with {{17.null_text_db|.0f}} dB"),
    ("InstructPix2Pix", "Brooks 2023",
     "edits done {{18.instruct_success|.0%}}, the rest kept "
     "{{18.instruct_preservation|.0%}}"),
    ("DreamBooth", "Ruiz 2023",
     "likeness {{19.subject_fidelity|.2f}} of {{19.subject_fidelity.ceiling|.2f}}"),
    ("Textual Inversion", "Gal 2022",
     "object {{20.object_fidelity|.0%}}, style {{20.style_fidelity|.0%}}"),
    ("ControlNet", "Zhang 2023",
     "outlines followed, F1 {{21.edge_f1|.2f}}; without it "
     "{{21.edge_f1.floor|.2f}}"),
    ("DreamFusion", "Poole 2023",
     "views right {{22.view_accuracy|.0%}}, silhouette IoU "
     "{{22.silhouette_iou|.2f}}"),
    ("ModelScope, Zeroscope", "Wang 2023",
     "direction right {{23.direction_accuracy|.0%}}, the same toy throughout "
     "{{23.identity|.0%}}"),
    ("PixelDance", "Zeng 2023",
     "ends as asked {{24.last_frame_accuracy|.0%}}"),
    ("MagicAnimate", "Xu 2023",
     "points {{25.keypoint_error_px|.2f}} pixels off; standing still "
     "{{25.keypoint_error_px.floor|.1f}}"),
    ("Flow matching, as in SD3", "Lipman 2023, Esser 2024",
     "4 steps: {{26.flow_accuracy_4|.0%}} all right; DDIM in 8 "
     "{{26.ddim_accuracy_8|.0%}}"),
    ("IP-Adapter", "Ye 2023",
     "what a picture shows is drawn: {{26.ip_adapter_image_accuracy|.0%}}; without it "
     "{{26.ip_adapter_image_accuracy.floor|.0%}}"),
)  # fmt: skip


def lesson_of(measured: str) -> str:
    """Return the two digits of the one lesson that a sentence quotes."""
    numbers = Counter(asked["lesson"] for asked in slides.ASKED.finditer(measured))
    if len(numbers) != 1:
        raise ValueError(f"exactly one lesson must be quoted in {measured!r}")
    return next(iter(numbers))


def systems_table() -> str:
    """Return the systems as a table in Markdown, with the lessons' own numbers."""
    lessons = Lessons()
    rows = ["| system | paper | lesson | measured here |", "|---|---|---|---|"]
    for system, paper, measured in SYSTEMS:
        number = lesson_of(measured)
        [path] = choice.lessons([number])
        said = slides.fill(measured, lessons).replace("%", " %")
        link = f"[{number}](notebooks/{path.name})"
        rows.append(f"| {system} | {paper} | {link} | {said} |")
    return "\n".join(rows)
