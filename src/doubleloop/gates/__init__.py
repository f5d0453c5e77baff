"""Gates: checks, evidence, approvals, verdicts. Evidence is brought here; a gate fetches nothing and judges what lies
before it. Every decision is pinned to the hash of the evidence that the person saw."""
