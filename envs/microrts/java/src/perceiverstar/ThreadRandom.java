package perceiverstar;

import java.util.Random;

/**
 * A java.util.Random that draws from the generator of the game which the current thread is stepping.
 *
 * The game's classes share static generators between all games of the process. With this one in their place a game draws
 * the same numbers whatever other games do, so that equal seeds replay equal games.
 */
public final class ThreadRandom extends Random {
    private static final long serialVersionUID = 1L;
    private static final ThreadLocal<Random> CURRENT = ThreadLocal.withInitial(Random::new);

    /** Called by the game's own classes, see RandomPatch. */
    public ThreadRandom() {}

    /** Makes this thread draw from the given generator until the next call. */
    static void use(Random random) {
        CURRENT.set(random);
    }

    @Override
    protected int next(int bits) {
        // Random.next is protected; nextInt() is next(32), whose upper bits are next(bits).
        return CURRENT.get().nextInt() >>> (32 - bits);
    }
}
