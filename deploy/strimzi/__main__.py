"""`python -m deploy.strimzi`."""

from deploy.strimzi import main

main()
