"""What the API answers: one document per noun, its fields described, and the statuses that go with it."""
