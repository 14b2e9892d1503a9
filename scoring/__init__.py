"""Which: predicts engagement, draws lots, and says what was shown and what was not."""
