package perceiverstar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import rts.GameState;
import rts.PlayerAction;
import rts.UnitAction;
import rts.UnitActionAssignment;
import rts.units.Unit;
import util.Pair;

/** Reads the orders that an AI issues as a row's action; what our layout or the rules do not allow is left out and counted. */
final class OrderReader {
    private static final String[] TYPE_NAMES = {"none", "move", "harvest", "return", "produce", "attack"};
    private static final long ABSENT = -1; // no choice of any component

    private final Row row;
    private final Map<String, Integer> leftOut;
    /** The action of the last orders, [maxEntities * ACTION_COMPONENTS]; zero, which is to wait, without an order. */
    final long[] action;
    private final boolean[] ordered;
    private final List<Unit> mayWait = new ArrayList<>();

    /** @param leftOut counts orders that are no part of any action, by reason and type */
    OrderReader(Row row, int maxEntities, Map<String, Integer> leftOut) {
        this.row = row;
        this.leftOut = leftOut;
        this.action = new long[maxEntities * Layout.ACTION_COMPONENTS];
        this.ordered = new boolean[maxEntities];
    }

    /** Reads orders for the units of a refreshed row. Of units whose order is left out, nothing is asked: their mask is zero. */
    void read(PlayerAction orders) {
        Arrays.fill(action, 0, row.used * Layout.ACTION_COMPONENTS, 0);
        Arrays.fill(ordered, 0, row.used, false);
        mayWait.clear();
        Claims claims = new Claims(row.game.state(), row.player);
        for (Pair<Unit, UnitAction> order : orders.getActions()) {
            int slot = slot(order.m_a);
            String reason = slot < 0 ? "unit without a slot" : put(slot, order.m_b, claims);
            if (reason != null) {
                int type = order.m_b.getType();
                leftOut.merge(reason + ": " + (isKnown(type) ? TYPE_NAMES[type] : "unknown type"), 1, Integer::sum);
            }
            if (slot >= 0 && reason != null) {
                leaveOut(slot);
            }
            if (slot >= 0 && (reason != null || order.m_b.getType() == UnitAction.TYPE_NONE)) {
                mayWait.add(row.slots[slot]);
            }
        }
    }

    /** Notes which units of the last orders now wait for several steps; called when the orders were issued. */
    void noteWaits() {
        GameState state = row.game.state();
        row.waits.removeIf(wait -> state.getActionAssignment(wait.unit) != wait);
        for (Unit unit : mayWait) {
            UnitActionAssignment assignment = state.getActionAssignment(unit);
            if (assignment != null && assignment.action.getType() == UnitAction.TYPE_NONE) {
                row.waits.add(assignment);
            }
        }
    }

    /** Whether any unit was asked for an order and none of ours had to be left out. */
    boolean hasDecision() {
        for (int slot = 0; slot < row.used; slot++) {
            if (isAsked(slot)) {
                return true;
            }
        }
        return false;
    }

    /** Returns the slot of a unit, or -1. The game, too, takes a copy of a unit for the unit of that type in its place. */
    private int slot(Unit unit) {
        for (int slot = 0; slot < row.used; slot++) {
            if (row.slots[slot] == unit) {
                return slot;
            }
        }
        for (int slot = 0; slot < row.used; slot++) {
            Unit other = row.slots[slot];
            if (other.getType() == unit.getType() && other.getX() == unit.getX() && other.getY() == unit.getY()) {
                return slot;
            }
        }
        return -1;
    }

    /** Puts an order into the action, or returns why that cannot be. */
    private String put(int slot, UnitAction order, Claims claims) {
        Unit unit = row.slots[slot];
        if (unit.getPlayer() != row.player) {
            return "unit of another player";
        }
        if (ordered[slot]) {
            return "ordered twice";
        }
        if (row.game.state().getActionAssignment(unit) != null) {
            return "unit is busy";
        }
        ordered[slot] = true;
        write(slot, unit, order);
        if (row.illegalComponent(slot, action) >= 0) {
            return "illegal";
        }
        return claims.add(order.resourceUsage(unit, row.game.state().getPhysicalGameState())) ? null : "clashing";
    }

    private void write(int slot, Unit unit, UnitAction order) {
        int offset = slot * Layout.ACTION_COMPONENTS;
        int type = order.getType();
        action[offset] = isKnown(type) ? type : ABSENT;
        switch (type) {
            case UnitAction.TYPE_MOVE:
            case UnitAction.TYPE_HARVEST:
            case UnitAction.TYPE_RETURN:
                action[offset + type] = direction(order); // their columns follow the order of the types
                break;
            case UnitAction.TYPE_PRODUCE:
                action[offset + Layout.PRODUCE_DIRECTION] = direction(order);
                action[offset + Layout.PRODUCE_TYPE] = order.getUnitType() == null ? ABSENT : order.getUnitType().ID;
                break;
            case UnitAction.TYPE_ATTACK_LOCATION:
                action[offset + Layout.ATTACK] = target(unit, order);
                break;
            default:
                break;
        }
    }

    private long direction(UnitAction order) {
        int direction = order.getDirection();
        return direction < 0 || direction >= Layout.DIRECTIONS ? ABSENT : row.turn(direction);
    }

    private long target(Unit unit, UnitAction order) {
        int x = order.getLocationX() - unit.getX() + Layout.ATTACK_SIDE / 2;
        int y = order.getLocationY() - unit.getY() + Layout.ATTACK_SIDE / 2;
        boolean inside = x >= 0 && x < Layout.ATTACK_SIDE && y >= 0 && y < Layout.ATTACK_SIDE;
        return inside ? row.turnTarget(y * Layout.ATTACK_SIDE + x) : ABSENT;
    }

    private void leaveOut(int slot) {
        Arrays.fill(action, slot * Layout.ACTION_COMPONENTS, (slot + 1) * Layout.ACTION_COMPONENTS, 0);
        Arrays.fill(row.actionMask, slot * Layout.MASK_SIZE, (slot + 1) * Layout.MASK_SIZE, (byte) 0);
    }

    private boolean isAsked(int slot) {
        for (int type = 0; type < Layout.ACTION_TYPES; type++) {
            if (row.actionMask[slot * Layout.MASK_SIZE + type] != 0) {
                return true;
            }
        }
        return false;
    }

    private static boolean isKnown(int type) {
        return type >= 0 && type < Layout.ACTION_TYPES;
    }
}
