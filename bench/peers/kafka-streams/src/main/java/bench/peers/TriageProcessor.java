package bench.peers;

import bench.SmallAppeal;
import bench.Triaged;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Joins an appeal with the user's history, scores it, chooses a pod and updates the history. */
final class TriageProcessor implements FixedKeyProcessor<Bytes, SmallAppeal, Triaged> {
    static final String HISTORIES = "histories";
    private static final Map<String, Integer> SEVERITY =
            Map.of("warning", 1, "content_removal", 3, "payout_hold", 6, "suspension", 7, "ban", 9);
    private static final Map<String, String> POD =
            Map.of("payout_hold", "payments", "suspension", "accounts", "ban", "accounts");

    private final History none;
    private FixedKeyProcessorContext<Bytes, Triaged> context;
    private KeyValueStore<Bytes, History> histories;

    /** Takes how many bytes a history has besides its two numbers. */
    TriageProcessor(int rest) {
        none = new History(0, 0, new byte[rest]);
    }

    @Override
    public void init(FixedKeyProcessorContext<Bytes, Triaged> context) {
        this.context = context;
        histories = context.getStateStore(HISTORIES);
    }

    @Override
    public void process(FixedKeyRecord<Bytes, SmallAppeal> record) {
        SmallAppeal appeal = record.value();
        History found = histories.get(record.key());
        History history = found == null ? none : found;
        long before = history.appeals();
        String action = appeal.getAction();
        long impact = Math.min(300, appeal.getAmountCents() / 1_000);
        long score = 60L * SEVERITY.get(action) + impact - Math.min(100, 5 * before);
        score = Math.max(0, Math.min(1_000, score));
        histories.put(record.key(), new History(before + 1, history.cents() + appeal.getAmountCents(), history.rest()));
        Triaged triaged = new Triaged(
                appeal.getAppealId(),
                appeal.getUserId(),
                (int) score,
                POD.getOrDefault(action, "general"),
                appeal.getSubmittedAt() + (1_000 - score) * 60_000,
                before,
                appeal.getStatementRef());
        context.forward(record.withValue(triaged));
    }
}
