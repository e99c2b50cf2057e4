package bench.peers;

import bench.SmallAppeal;
import bench.Triaged;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.Stores;

/**
 * The triage step as a Kafka Streams application, until it is told to stop: {@code Triage KAFKA PREFIX FOLDER REST}.
 *
 * <p>One line of JSON on standard output for each change of state and each end of a store's restoration, with the time
 * of the system's monotonic clock.
 */
public final class Triage {
    private Triage() {}

    /** Runs it. */
    public static void main(String[] args) throws InterruptedException {
        String kafka = args[0];
        String prefix = args[1];
        String application = prefix + "kafka-streams";
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, kafka);
        config.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(args[2]).toString());
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // With the default of 16 kB a request holds little, and each costs CPU on both sides.
        config.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        // Static membership: who comes back is given its partitions at once, and not after the session's end.
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "one");
        // Anything else that is to be tried: -Dbench.name=value.
        System.getProperties().forEach((name, value) -> {
            if (name.toString().startsWith("bench.")) {
                config.put(name.toString().substring("bench.".length()), value);
            }
        });

        KafkaStreams streams = new KafkaStreams(topology(prefix, Integer.parseInt(args[3])), config);
        streams.setStateListener((now, before) -> tell("\"state\": \"" + now + "\""));
        streams.setGlobalStateRestoreListener(new Restoration());
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(30));
            closed.countDown();
        }));
        streams.start();
        closed.await();
    }

    private static Topology topology(String prefix, int rest) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                        Stores.persistentKeyValueStore(TriageProcessor.HISTORIES), Serdes.Bytes(), History.serde())
                .withCachingEnabled());
        builder.stream(
                        prefix + "appeals",
                        Consumed.with(Serdes.Bytes(), new AvroSerde<>(SmallAppeal.class, SmallAppeal.getClassSchema())))
                .processValues(() -> new TriageProcessor(rest), TriageProcessor.HISTORIES)
                .to(
                        prefix + "kafka-streams-cases",
                        Produced.with(Serdes.Bytes(), new AvroSerde<>(Triaged.class, Triaged.getClassSchema())));
        return builder.build();
    }

    private static void tell(String what) {
        System.out.println("{\"at\": " + System.nanoTime() / 1e9 + ", " + what + "}");
        System.out.flush();
    }

    private static final class Restoration implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) {
            tell("\"restoring\": " + partition.partition() + ", \"from\": " + start + ", \"to\": " + end);
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long records) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long records) {
            tell("\"restored\": " + partition.partition() + ", \"records\": " + records);
        }
    }
}
