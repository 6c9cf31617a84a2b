package perceiverstar;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Map;

/** The memory shared with Python: each buffer is one C-contiguous NumPy array with the row as its first index. */
final class Buffers {
    final LongBuffer actions;
    final IntBuffer entityCategories;
    final FloatBuffer entityValues;
    final IntBuffer entityPositions;
    final ByteBuffer entityMask;
    final FloatBuffer scalars;
    final ByteBuffer planes;
    final ByteBuffer actionMask;
    final FloatBuffer rewardTerms;
    final ByteBuffer terminated;
    final ByteBuffer truncated;
    final ByteBuffer outcome;
    final IntBuffer elapsedSteps;

    Buffers(Map<String, ByteBuffer> byName) {
        actions = get(byName, "actions").asLongBuffer();
        entityCategories = get(byName, "entity_categories").asIntBuffer();
        entityValues = get(byName, "entity_values").asFloatBuffer();
        entityPositions = get(byName, "entity_positions").asIntBuffer();
        entityMask = get(byName, "entity_mask");
        scalars = get(byName, "scalars").asFloatBuffer();
        planes = get(byName, "planes");
        actionMask = get(byName, "action_mask");
        rewardTerms = get(byName, "reward_terms").asFloatBuffer();
        terminated = get(byName, "terminated");
        truncated = get(byName, "truncated");
        outcome = get(byName, "outcome");
        elapsedSteps = get(byName, "elapsed_steps").asIntBuffer();
    }

    /** Writes what the steps since Game.clearStep have brought a row. */
    void putResult(Row row, boolean terminated, boolean truncated) {
        Game game = row.game;
        int winner = game.winner();
        int result = winner < 0 ? 0 : winner == row.player ? 1 : -1;
        rewardTerms.put(row.index * Layout.REWARD_TERMS, game.rewardTerms(row.player), 0, Layout.REWARD_TERMS);
        this.terminated.put(row.index, (byte) (terminated ? 1 : 0));
        this.truncated.put(row.index, (byte) (truncated ? 1 : 0));
        outcome.put(row.index, (byte) (terminated || truncated ? result : 0));
        elapsedSteps.put(row.index, game.elapsed());
    }

    private static ByteBuffer get(Map<String, ByteBuffer> byName, String name) {
        ByteBuffer buffer = byName.get(name);
        if (buffer == null) {
            throw new IllegalArgumentException("there is no buffer named " + name);
        }
        return buffer.order(ByteOrder.nativeOrder());
    }
}
