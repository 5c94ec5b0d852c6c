"""The perceptual study: stimuli, page, answers, scores."""
