package perceiverstar;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import rts.GameState;
import rts.PlayerAction;
import rts.UnitAction;
import rts.units.Unit;
import util.Pair;

/**
 * Replaces a share of an AI's orders by random legal ones.
 *
 * Two AIs that throw no dice play the same game for ever; and who imitates an AI leaves its path sooner or later, and
 * has to have seen how it finds back (Laskey et al. 2017, "DART").
 */
final class RandomOrders {
    private final double share;
    private Random random;

    /** @param share of the units that await an order at a step, which get a random one */
    RandomOrders(double share) {
        this.share = share;
    }

    void setSeed(long seed) {
        random = new Random(seed);
    }

    /** Returns a player's orders with the share replaced. */
    PlayerAction disturb(GameState state, int player, PlayerAction orders) {
        if (share == 0) {
            return orders;
        }
        Map<Unit, UnitAction> replaced = new HashMap<>();
        for (Unit unit : state.getUnits()) {
            if (unit.getPlayer() == player && state.getActionAssignment(unit) == null && random.nextDouble() < share) {
                List<UnitAction> choices = new ArrayList<>(unit.getUnitActions(state));
                choices.removeIf(action -> action.getType() == UnitAction.TYPE_NONE);
                if (!choices.isEmpty()) {
                    replaced.put(unit, choices.get(random.nextInt(choices.size())));
                }
            }
        }
        PlayerAction disturbed = new PlayerAction();
        for (Pair<Unit, UnitAction> order : orders.getActions()) {
            // AIs that search give orders to copies of units, which stand in the same place.
            Unit unit = state.getPhysicalGameState().getUnitAt(order.m_a.getX(), order.m_a.getY());
            if (!replaced.containsKey(unit)) {
                disturbed.addUnitAction(order.m_a, order.m_b);
            }
        }
        for (Unit unit : state.getUnits()) {
            if (replaced.containsKey(unit)) {
                disturbed.addUnitAction(unit, replaced.get(unit));
            }
        }
        return disturbed;
    }
}
