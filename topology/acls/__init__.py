"""Who may do what at Kafka and Redis, made from the register of topics: no more than is needed, and nothing created."""
