"""What is made of the data at a look: posteriors, predictive probabilities, test statistics, estimates."""
