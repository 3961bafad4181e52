"""Answers to requests that come and go: the engine, and the OpenAI-compatible server on it."""
