package perceiverstar;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;
import rts.PhysicalGameState;
import rts.PlayerAction;
import rts.units.UnitTypeTable;

/** Plays games between two AIs and writes what each of them sees and orders; rows 0 and 1 of the buffers are players 0 and 1. */
public final class RecordedGames {
    private final Game game;
    private final Row[] rows = new Row[2];
    private final ObservationWriter[] writers = new ObservationWriter[2];
    private final OrderReader[] readers = new OrderReader[2];
    private final RandomOrders randomOrders;
    private final Buffers buffers;
    private final int actionSize;
    private final Map<String, Integer> leftOut = new TreeMap<>();

    /**
     * @param players makes the AI of player 0 and of player 1
     * @param canonicalOrientation whether player 1 sees the map turned by 180 degrees
     * @param randomOrders share of the orders that are replaced by random ones, after they are recorded
     * @param buffers the shared memory by name, see Buffers
     */
    public RecordedGames(PhysicalGameState map, UnitTypeTable unitTypes, AiFactory[] players, int maxSteps, int maxEntities,
            boolean canonicalOrientation, double randomOrders, Map<String, ByteBuffer> buffers) {
        this.randomOrders = new RandomOrders(randomOrders);
        this.buffers = new Buffers(buffers);
        this.actionSize = maxEntities * Layout.ACTION_COMPONENTS;
        game = new Game(map, unitTypes, players, maxSteps);
        for (int player = 0; player < 2; player++) {
            rows[player] = new Row(player, game, player, canonicalOrientation && player == 1, unitTypes, maxEntities);
            writers[player] = new ObservationWriter(this.buffers, rows[player], maxEntities);
            readers[player] = new OrderReader(rows[player], maxEntities, leftOut);
        }
    }

    /** Begins a game. */
    public void reset(long seed) throws Exception {
        game.setSeed(seed);
        randomOrders.setSeed(~seed);
        game.reset();
        leftOut.clear();
        for (int player = 0; player < 2; player++) {
            rows[player].waits.clear();
            writers[player].writePlanes();
        }
    }

    /**
     * Writes what the players that have a choice see and order, and plays on until a player has a choice again or the game
     * has ended; the results are those of all the steps played.
     *
     * @return a bit for each player: 1 if player 0 has made a decision, plus 2 if player 1 has
     */
    public int play() throws Exception {
        game.clearStep();
        int recorded = step(true);
        while (!game.ended() && !rows[0].hasChoice() && !rows[1].hasChoice()) {
            step(false);
        }
        for (Row row : rows) {
            buffers.putResult(row, game.over(), game.truncated());
        }
        return recorded;
    }

    private int step(boolean choice) throws Exception {
        PlayerAction[] issued = game.decide(null);
        int recorded = 0;
        for (int player = 0; player < 2; player++) {
            rows[player].refresh();
            readers[player].read(issued[player]);
            if (choice && rows[player].hasChoice() && readers[player].hasDecision()) {
                writers[player].writeRefreshed();
                buffers.actions.put(player * actionSize, readers[player].action, 0, rows[player].used * Layout.ACTION_COMPONENTS);
                recorded |= 1 << player;
            }
        }
        for (int player = 0; player < 2; player++) {
            issued[player] = randomOrders.disturb(game.state(), player, issued[player]);
        }
        game.execute(issued);
        for (OrderReader reader : readers) {
            reader.noteWaits();
        }
        return recorded;
    }

    /** How many orders of this game are in no action, by reason and type. */
    public Map<String, Integer> leftOut() {
        return leftOut;
    }
}
