package bench.peers;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** What is kept of a user: how many appeals, how many cents were at stake, and what else is told of them. */
record History(long appeals, long cents, byte[] rest) {
    private static final byte[] NOTHING = {};
    private static final int HEAD = 2 * Long.BYTES;

    static Serde<History> serde() {
        Serializer<History> write = (topic, history) -> history == null
                ? null
                : ByteBuffer.allocate(HEAD + history.rest.length)
                        .putLong(history.appeals)
                        .putLong(history.cents)
                        .put(history.rest)
                        .array();
        Deserializer<History> read = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            byte[] rest = bytes.length == HEAD ? NOTHING : Arrays.copyOfRange(bytes, HEAD, bytes.length);
            return new History(buffer.getLong(), buffer.getLong(), rest);
        };
        return Serdes.serdeFrom(write, read);
    }
}
