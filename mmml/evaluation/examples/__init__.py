"""What a report shows besides numbers: examples of queries, answers, classes and videos."""
