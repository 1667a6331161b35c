"""What unmbox costs: generated mailboxes, whole-process comparisons and the parts on their own."""
