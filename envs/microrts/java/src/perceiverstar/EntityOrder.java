package perceiverstar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import rts.units.Unit;

/** The order in which units take the entity slots when there are more units than slots. */
final class EntityOrder {
    private static final int FAR = 10_000;

    private EntityOrder() {}

    /** Returns the player's units, then its enemies from the nearest on, then everything else from the nearest on. */
    static Unit[] mostImportantFirst(List<Unit> units, int player) {
        List<Unit> own = new ArrayList<>();
        for (Unit unit : units) {
            if (unit.getPlayer() == player) {
                own.add(unit);
            }
        }
        Unit[] sorted = units.toArray(new Unit[0]);
        // Arrays.sort is stable: units of equal rank stay in the game's order.
        Arrays.sort(sorted, Comparator.comparingInt(unit -> rank(unit, player, own)));
        return sorted;
    }

    private static int rank(Unit unit, int player, List<Unit> own) {
        if (unit.getPlayer() == player) {
            return 0;
        }
        return distance(unit, own) + (unit.getPlayer() >= 0 ? 1 : 2 * FAR);
    }

    private static int distance(Unit unit, List<Unit> others) {
        int nearest = FAR;
        for (Unit other : others) {
            nearest = Math.min(nearest, Math.abs(unit.getX() - other.getX()) + Math.abs(unit.getY() - other.getY()));
        }
        return nearest;
    }
}
