package perceiverstar;

import ai.core.AI;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Random;

/** Makes the game and its AIs draw their random numbers from seeds. */
public final class Seeding {
    /** Static generators, which all games share: class and field. */
    private static final String[][] SHARED = {
        {"util.Sampler", "generator"},
        {"rts.GameState", "r"},
        {"rts.UnitAction", "r"},
        {"ai.mcts.MCTSNode", "r"},
        {"java.util.Collections", "r"}, // behind Collections.shuffle; needs --add-opens java.base/java.util
    };
    /** Classes that make generators as they go, and a neighbour of each. */
    private static final String[][] PATCHED = {
        {"rts.PlayerActionGenerator", "rts.GameState"}, // plays for RandomAI
        {"ai.coac.CoacAttack", "ai.coac.CoacAI"},
    };

    private Seeding() {}

    /** Puts a ThreadRandom in the place of the generators that are out of a game's hands; called before any game is made. */
    public static void replaceGenerators() throws ReflectiveOperationException, IOException {
        for (String[] place : PATCHED) {
            try {
                RandomPatch.load(place[0], place[1]);
            } catch (ClassNotFoundException absent) {
                continue; // a build of the game without this bot
            }
        }
        for (String[] place : SHARED) {
            Field field = Class.forName(place[0]).getDeclaredField(place[1]);
            field.setAccessible(true);
            field.set(null, new ThreadRandom());
        }
    }

    /** Seeds the generators held by an AI and by the AIs it is made of. */
    static void seed(AI ai, long seed) throws IllegalAccessException {
        seed(ai, new Random(seed), 0);
    }

    private static void seed(AI ai, Random seeds, int depth) throws IllegalAccessException {
        if (depth > 4) {
            return; // AIs that hold each other
        }
        for (Class<?> type = ai.getClass(); type != AI.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                boolean ours = Random.class.isAssignableFrom(field.getType()) || AI.class.isAssignableFrom(field.getType());
                if (!ours || Modifier.isStatic(field.getModifiers())) {
                    continue;
                }
                field.setAccessible(true);
                Object value = field.get(ai);
                if (value instanceof Random) {
                    ((Random) value).setSeed(seeds.nextLong());
                } else if (value != null && value != ai) {
                    seed((AI) value, seeds, depth + 1);
                }
            }
        }
    }
}
