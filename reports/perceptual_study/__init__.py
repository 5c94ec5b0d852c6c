"""The perceptual study of the CycleGAN paper: stimuli, page, answers, scores."""
