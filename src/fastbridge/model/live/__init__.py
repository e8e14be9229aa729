"""The dialect of a model that speaks as a stream without end: GPT-Live."""
