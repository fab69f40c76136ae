// The latest change, strategy by strategy: how long copies were stale, and why. To be completed below.
