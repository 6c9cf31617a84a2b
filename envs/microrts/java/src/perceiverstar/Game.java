package perceiverstar;

import ai.core.AI;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import rts.GameState;
import rts.PhysicalGameState;
import rts.PlayerAction;
import rts.UnitAction;
import rts.units.Unit;
import rts.units.UnitTypeTable;
import util.Pair;

/** One game of µRTS between two players, each of them an AI or controlled from outside. */
public final class Game {
    /** Units made by the game get identifiers from here on, until the game gives them its own small ones. */
    private static final long FRESH_UNIT = 1L << 30;

    /** The list of units. The game looks units up by index, which its own linked list answers slowly. */
    private static final VarHandle UNITS = unitsField();

    private final PhysicalGameState map;
    private final UnitTypeTable unitTypes;
    private final AiFactory[] makers;
    private final AI[] players = new AI[2];
    private final int maxSteps;
    private final float[][] rewardTerms = new float[2][Layout.REWARD_TERMS];

    private GameState state;
    private long nextUnit;
    private long seed;
    private long episode;
    private Random random;
    private int elapsed;
    private boolean over;

    /**
     * @param map the start of every episode
     * @param players makes the AI of player 0 and of player 1; null where the player is controlled from outside
     * @param maxSteps game steps after which an episode is cut off
     */
    public Game(PhysicalGameState map, UnitTypeTable unitTypes, AiFactory[] players, int maxSteps) {
        Unit.next_ID = Math.max(Unit.next_ID, FRESH_UNIT);
        this.map = map;
        this.unitTypes = unitTypes;
        this.makers = players.clone();
        this.maxSteps = maxSteps;
    }

    private static VarHandle unitsField() {
        try {
            return MethodHandles.privateLookupIn(PhysicalGameState.class, MethodHandles.lookup())
                    .findVarHandle(PhysicalGameState.class, "units", List.class);
        } catch (ReflectiveOperationException error) {
            throw new ExceptionInInitializerError(error);
        }
    }

    /** Starts the sequence of episodes over with this seed. */
    public void setSeed(long seed) {
        this.seed = seed;
        this.episode = 0;
    }

    /** Replaces what makes the AIs, from the next episode on; players that are controlled stay so. */
    void setPlayers(AiFactory[] players) {
        for (int player = 0; player < 2; player++) {
            if ((players[player] == null) != controlled(player)) {
                throw new IllegalArgumentException("player " + player + " must stay what it is, an AI or controlled");
            }
        }
        System.arraycopy(players, 0, makers, 0, 2);
    }

    /** Begins the next episode. */
    public void reset() throws Exception {
        random = new Random(seed + 0x9E3779B97F4A7C15L * episode++);
        ThreadRandom.use(random);
        PhysicalGameState start = map.cloneIncludingTerrain();
        UNITS.set(start, new ArrayList<>(start.getUnits()));
        state = new GameState(start, unitTypes);
        nextUnit = 0;
        for (Unit unit : units()) {
            nextUnit = Math.max(nextUnit, unit.getID() + 1);
        }
        for (int player = 0; player < 2; player++) {
            if (!controlled(player)) {
                players[player] = makers[player].make();
                Seeding.seed(players[player], random.nextLong());
            }
        }
        over = false;
        clearStep();
    }

    /** Forgets the reward terms and the game steps counted so far. */
    void clearStep() {
        elapsed = 0;
        for (float[] terms : rewardTerms) {
            java.util.Arrays.fill(terms, 0f);
        }
    }

    /** Plays one game step; orders[player] is read for the players that are controlled from outside. */
    void step(PlayerAction[] orders) throws Exception {
        execute(decide(orders));
    }

    /** Returns what both players order in the current state, which stays as it is. */
    PlayerAction[] decide(PlayerAction[] orders) throws Exception {
        ThreadRandom.use(random);
        PlayerAction[] issued = new PlayerAction[2];
        for (int player = 0; player < 2; player++) {
            issued[player] = controlled(player) ? orders[player] : players[player].getAction(player, state);
            requireUnits(issued[player]);
        }
        return issued;
    }

    /** Plays one game step with the orders of both players; the game may replace those that it does not allow. */
    void execute(PlayerAction[] issued) throws Exception {
        // Orders from outside were checked against the legal actions, and go first, as in the packaged client.
        for (int player = 0; player < 2; player++) {
            if (controlled(player)) {
                state.issue(issued[player]);
            }
        }
        for (int player = 0; player < 2; player++) {
            if (!controlled(player)) {
                state.issueSafe(issued[player]);
            }
        }
        for (int player = 0; player < 2; player++) {
            RewardTerms.addOrders(rewardTerms[player], player, issued[0], state.getPhysicalGameState());
            RewardTerms.addOrders(rewardTerms[player], player, issued[1], state.getPhysicalGameState());
        }
        over = state.cycle();
        elapsed++;
        nameNewUnits();
        if (over) {
            finish();
        }
    }

    /** The game answers an order without a unit by ending the process. */
    private static void requireUnits(PlayerAction orders) {
        for (Pair<Unit, UnitAction> order : orders.getActions()) {
            if (order.m_a == null) {
                throw new IllegalStateException("an AI gave an order to no unit");
            }
        }
    }

    private void finish() throws Exception {
        for (int player = 0; player < 2; player++) {
            RewardTerms.addEnd(rewardTerms[player], player, state);
            if (!controlled(player)) {
                players[player].gameOver(state.winner());
            }
        }
    }

    /** Gives new units identifiers counted in this game alone: AIs keep units in hash maps, whose order depends on them. */
    private void nameNewUnits() {
        for (Unit unit : units()) {
            if (unit.getID() >= FRESH_UNIT) {
                unit.setID(nextUnit++);
            }
        }
    }

    /** Plays at most this many game steps of a game between two AIs; returns whether the episode has ended. */
    public boolean play(int steps) throws Exception {
        for (int step = 0; step < steps && !ended(); step++) {
            step(null);
        }
        return ended();
    }

    public boolean over() {
        return over;
    }

    public boolean truncated() {
        return !over && state.getTime() >= maxSteps;
    }

    public boolean ended() {
        return over || state.getTime() >= maxSteps;
    }

    /** The player that has won, or -1. */
    public int winner() {
        return over ? state.winner() : -1;
    }

    public int time() {
        return state.getTime();
    }

    int maxSteps() {
        return maxSteps;
    }

    int elapsed() {
        return elapsed;
    }

    float[] rewardTerms(int player) {
        return rewardTerms[player];
    }

    GameState state() {
        return state;
    }

    List<Unit> units() {
        return state.getUnits();
    }

    boolean controlled(int player) {
        return makers[player] == null;
    }
}
