"""What operators see in figures: `table` says which there are, `prometheus` keeps them, `scrape` answers who asks."""
