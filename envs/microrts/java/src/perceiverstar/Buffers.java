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

    private static ByteBuffer get(Map<String, ByteBuffer> byName, String name) {
        ByteBuffer buffer = byName.get(name);
        if (buffer == null) {
            throw new IllegalArgumentException("there is no buffer named " + name);
        }
        return buffer.order(ByteOrder.nativeOrder());
    }
}
