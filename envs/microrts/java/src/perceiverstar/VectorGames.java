package perceiverstar;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import rts.PhysicalGameState;
import rts.PlayerAction;
import rts.units.UnitTypeTable;

/** Steps a batch of games in one call; observations, actions and results pass through shared buffers. */
public final class VectorGames {
    /** What step() returns when every action was legal and the games have been stepped. */
    private static final long ALL_LEGAL = -1;

    private final Game[] games;
    private final Row[][] rowsOfGame;
    private final ObservationWriter[] writers;
    private final boolean[] finished;
    private final long[][] actions;
    private final Buffers buffers;
    private final boolean skipIdleSteps;
    private final ExecutorService helpers;
    private final int numThreads;

    /**
     * @param players for each game what makes the AIs of player 0 and 1; null where the player is controlled, which makes a row
     * @param maxSteps game steps after which a game is cut off
     * @param maxEntities entity slots of a row
     * @param skipIdleSteps whether a step goes on until a controlled player has something to decide
     * @param canonicalOrientation whether player 1 sees the map turned by 180 degrees
     * @param buffers the shared memory by name, see Buffers
     */
    public VectorGames(PhysicalGameState map, UnitTypeTable unitTypes, AiFactory[][] players, int maxSteps, int maxEntities,
            boolean skipIdleSteps, boolean canonicalOrientation, int numThreads, Map<String, ByteBuffer> buffers) {
        this.buffers = new Buffers(buffers);
        this.skipIdleSteps = skipIdleSteps;
        this.numThreads = numThreads;
        games = new Game[players.length];
        rowsOfGame = new Row[players.length][];
        finished = new boolean[players.length];
        List<ObservationWriter> made = new ArrayList<>();
        for (int g = 0; g < games.length; g++) {
            games[g] = new Game(map, unitTypes, players[g], maxSteps);
            List<Row> rows = new ArrayList<>();
            for (int player = 0; player < 2; player++) {
                if (games[g].controlled(player)) {
                    boolean rotated = canonicalOrientation && player == 1;
                    Row row = new Row(made.size(), games[g], player, rotated, unitTypes, maxEntities);
                    rows.add(row);
                    made.add(new ObservationWriter(this.buffers, row, maxEntities));
                }
            }
            rowsOfGame[g] = rows.toArray(new Row[0]);
            finished[g] = true; // until the first reset
        }
        writers = made.toArray(new ObservationWriter[0]);
        actions = new long[writers.length][maxEntities * Layout.ACTION_COMPONENTS];
        helpers = numThreads > 1 ? Executors.newFixedThreadPool(numThreads - 1, VectorGames::daemon) : null;
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work, "perceiverstar-games");
        thread.setDaemon(true);
        return thread;
    }

    /** Gives the chosen games new seeds. */
    public void setSeeds(boolean[] chosen, long[] seeds) {
        for (int g = 0; g < games.length; g++) {
            if (chosen[g]) {
                games[g].setSeed(seeds[g]);
            }
        }
    }

    /** Replaces what makes a game's AIs, from its next episode on. */
    public void setPlayers(int game, AiFactory[] players) {
        games[game].setPlayers(players);
    }

    /** Begins a new episode of the chosen games and writes what their players see. */
    public void reset(boolean[] chosen) throws Exception {
        for (int g = 0; g < games.length; g++) {
            if (!chosen[g]) {
                continue;
            }
            games[g].reset();
            finished[g] = false;
            for (Row row : rowsOfGame[g]) {
                writers[row.index].writePlanes();
            }
            writeRows(g);
        }
    }

    /**
     * Steps every game that has not ended, with the actions in the buffer; ended games stay as they are.
     *
     * @return -1, or, with no game stepped, (row * slots + slot) * components + component of the first illegal choice
     */
    public long step() throws Exception {
        long illegal = readActions();
        if (illegal != ALL_LEGAL) {
            return illegal;
        }
        if (helpers == null) {
            for (int g = 0; g < games.length; g++) {
                stepGame(g);
            }
        } else {
            stepInThreads();
        }
        return ALL_LEGAL;
    }

    private long readActions() {
        for (int g = 0; g < games.length; g++) {
            if (finished[g]) {
                continue;
            }
            for (Row row : rowsOfGame[g]) {
                long[] action = actions[row.index];
                buffers.actions.get(row.index * action.length, action, 0, row.used * Layout.ACTION_COMPONENTS);
                for (int slot = 0; slot < row.used; slot++) {
                    int component = row.waiting[slot] ? row.illegalComponent(slot, action) : -1;
                    if (component >= 0) {
                        return (long) row.index * action.length + slot * Layout.ACTION_COMPONENTS + component;
                    }
                }
            }
        }
        return ALL_LEGAL;
    }

    private void stepInThreads() throws Exception {
        AtomicInteger next = new AtomicInteger();
        List<Future<?>> running = new ArrayList<>();
        for (int thread = 1; thread < numThreads; thread++) {
            running.add(helpers.submit(() -> {
                stepRemaining(next);
                return null;
            }));
        }
        Throwable failure = null;
        try {
            stepRemaining(next);
        } catch (Throwable error) { // AIs throw errors, too
            failure = error;
        }
        // All threads end before the caller may touch the buffers again, even when one has failed.
        for (Future<?> helper : running) {
            try {
                helper.get();
            } catch (ExecutionException error) {
                failure = error.getCause();
            }
        }
        if (failure instanceof Error) {
            throw (Error) failure;
        }
        if (failure != null) {
            throw (Exception) failure;
        }
    }

    private void stepRemaining(AtomicInteger next) throws Exception {
        for (int g = next.getAndIncrement(); g < games.length; g = next.getAndIncrement()) {
            stepGame(g);
        }
    }

    private void stepGame(int g) throws Exception {
        Game game = games[g];
        game.clearStep();
        if (finished[g]) {
            for (Row row : rowsOfGame[g]) {
                buffers.putResult(row, false, false);
            }
            return;
        }
        PlayerAction[] orders = new PlayerAction[2];
        for (Row row : rowsOfGame[g]) {
            orders[row.player] = row.orders(actions[row.index]);
        }
        game.step(orders);
        while (skipIdleSteps && !game.ended() && !anyChoice(g)) {
            // Units without an order wait for one game step.
            game.step(new PlayerAction[] {new PlayerAction(), new PlayerAction()});
        }
        finished[g] = game.ended();
        writeRows(g);
    }

    private boolean anyChoice(int g) {
        for (Row row : rowsOfGame[g]) {
            if (row.hasChoice()) {
                return true;
            }
        }
        return false;
    }

    private void writeRows(int g) {
        for (Row row : rowsOfGame[g]) {
            writers[row.index].write();
            buffers.putResult(row, games[g].over(), games[g].truncated());
        }
    }

    /** Ends the helper threads. */
    public void close() {
        if (helpers != null) {
            helpers.shutdownNow();
        }
    }
}
