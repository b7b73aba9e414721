"""Examples that the report shows besides numbers: queries, answers, classes and videos."""
