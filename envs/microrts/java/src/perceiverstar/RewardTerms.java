package perceiverstar;

import ai.rewardfunction.AttackRewardFunction;
import ai.rewardfunction.ProduceBuildingRewardFunction;
import ai.rewardfunction.ProduceCombatUnitRewardFunction;
import ai.rewardfunction.ProduceWorkerRewardFunction;
import ai.rewardfunction.ResourceGatherRewardFunction;
import rts.GameState;
import rts.PhysicalGameState;
import rts.PlayerAction;
import rts.UnitAction;
import rts.units.Unit;
import util.Pair;

/**
 * The values of the game's six reward functions, without the copy of the whole state that those functions ask for.
 *
 * They look at the orders issued in a step and, for attacks, at the units on the map before the step is executed. Called
 * at that moment, the live state serves as well as a copy.
 */
final class RewardTerms {
    private RewardTerms() {}

    /** Adds to terms what the orders of one step, issued but not yet executed, are worth to a player. */
    static void addOrders(float[] terms, int player, PlayerAction orders, PhysicalGameState map) {
        for (Pair<Unit, UnitAction> order : orders.getActions()) {
            if (order.m_a.getPlayer() != player) {
                continue;
            }
            UnitAction action = order.m_b;
            switch (action.getType()) {
                case UnitAction.TYPE_HARVEST:
                    terms[Layout.RESOURCE_GATHER] += ResourceGatherRewardFunction.RESOURCE_HARVEST_REWARD;
                    break;
                case UnitAction.TYPE_RETURN:
                    terms[Layout.RESOURCE_GATHER] += ResourceGatherRewardFunction.RESOURCE_RETURN_REWARD;
                    break;
                case UnitAction.TYPE_PRODUCE:
                    addProduction(terms, action);
                    break;
                case UnitAction.TYPE_ATTACK_LOCATION:
                    if (map.getUnitAt(action.getLocationX(), action.getLocationY()) != null) {
                        terms[Layout.ATTACK_TERM] += AttackRewardFunction.ATTACK_REWARD;
                    }
                    break;
                default:
                    break;
            }
        }
    }

    private static void addProduction(float[] terms, UnitAction action) {
        if (action.getUnitType() == null) {
            return;
        }
        switch (action.getUnitType().name) {
            case "Worker":
                terms[Layout.PRODUCE_WORKER] += ProduceWorkerRewardFunction.WORKER_PRODUCE_REWARD;
                break;
            case "Base":
            case "Barracks":
                terms[Layout.PRODUCE_BUILDING] += ProduceBuildingRewardFunction.BUILDING_PRODUCE_REWARD;
                break;
            case "Light":
            case "Heavy":
            case "Ranged":
                terms[Layout.PRODUCE_COMBAT_UNIT] += ProduceCombatUnitRewardFunction.COMBAT_UNITS_PRODUCE_REWARD;
                break;
            default:
                break;
        }
    }

    /** Adds the win/loss term of a finished game. Like the game's function it counts a draw as a loss for both. */
    static void addEnd(float[] terms, int player, GameState end) {
        terms[Layout.WIN_LOSS] += end.winner() == player ? 1f : -1f;
    }
}
