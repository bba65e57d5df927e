"""The miniature family: its networks, and the batches that they learn from.

Importable without training anything; how each weight was trained is in recipes.

    worlds      the part of the toybox that a model learns, as batches
    text        the tokenizer of its words, and the text encoder
    unet        the UNets, what is trained, and its loss
    batches     pictures encoded, noise, steps and words: what the UNets learn from
    pipelines   the parts put together: ordinary pipelines of diffusers
    cascade     the three stages of a miniature Stable Cascade
    rivals      the VAE and the samplers that lesson 08 compares
    gans        the GAN of lessons 04 and 08, whose judges see from the start
    text_gans   a GAN that is told what to draw
    flow        a transformer that learns a flow: Stable Diffusion 3 in miniature
    reflow      tiny's own walks made straight
    shown       what an IP-Adapter learns from
"""
