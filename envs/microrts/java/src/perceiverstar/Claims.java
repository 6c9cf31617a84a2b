package perceiverstar;

import java.util.Arrays;
import java.util.List;
import rts.GameState;
import rts.ResourceUsage;
import rts.UnitActionAssignment;

/**
 * The cells and resources that orders have claimed.
 *
 * It decides as rts.ResourceUsage does when the usages of all orders are merged, without merging them into lists.
 */
final class Claims {
    private final int player;
    private final int stock;
    private int[] cells = new int[16];
    private int numCells;
    private int resources;

    /** The claims of the actions under way, for new orders of a player. */
    Claims(GameState state, int player) {
        this.player = player;
        this.stock = state.getPlayer(player).getResources();
        for (UnitActionAssignment assignment : state.getUnitActions().values()) {
            take(assignment.action.resourceUsage(assignment.unit, state.getPhysicalGameState()));
        }
    }

    /** Adds the claim of an order of the player, or returns false if it clashes with an earlier one. */
    boolean add(ResourceUsage usage) {
        boolean allowed = allow(usage);
        if (allowed) {
            take(usage);
        }
        return allowed;
    }

    /** Returns whether an order of the player would not clash with what is claimed. */
    boolean allow(ResourceUsage usage) {
        for (int cell : usage.getPositionsUsed()) {
            for (int k = 0; k < numCells; k++) {
                if (cells[k] == cell) {
                    return false;
                }
            }
        }
        int cost = usage.getResourcesUsed(player);
        return cost <= 0 || resources + cost <= stock;
    }

    private void take(ResourceUsage usage) {
        List<Integer> positions = usage.getPositionsUsed();
        if (!positions.isEmpty()) {
            if (numCells + positions.size() > cells.length) {
                cells = Arrays.copyOf(cells, 2 * cells.length + positions.size());
            }
            for (int cell : positions) {
                cells[numCells++] = cell;
            }
        }
        resources += usage.getResourcesUsed(player);
    }
}
