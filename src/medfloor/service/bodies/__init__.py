"""Bodies of requests and answers: strict models with examples, which make the OpenAPI."""
