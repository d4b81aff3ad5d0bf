"""What a generator is worth: pure functions of tensors, each with its paper, none of which trains or draws a GAN."""
