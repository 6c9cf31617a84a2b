"""Our own pinned tables of the game's ids: unit types, buffs, upgrades, effects, each with a slot for the unknown.

The ids are those of pysc2's enums (build 75689, game 4.10) and static data, and what `RequestData` of later builds
adds for ladder games. The game gives new things new ids and now and then shifts the last ones: an index is a learned
slot, and what a table does not hold takes index 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

ATTRIBUTE_NAMES = (
    "light",
    "armored",
    "biological",
    "mechanical",
    "robotic",
    "psionic",
    "massive",
    "structure",
    "hover",
    "heroic",
    "summoned",
)
"""The unit attributes of `data.proto`, in the game's order."""
_ATTRIBUTE_LETTERS = "labmrpgsvhu"

# Each entry is id:name:attributes.
_UNIT_TYPES = """
4:Colossus:amg 5:TechLab:ams 6:Reactor:ams 7:InfestedTerran:lb 8:BanelingCocoon:b 9:Baneling:b 10:Mothership:ampgh
11:PointDefenseDrone:lms 12:Changeling:lb 13:ChangelingZealot:lb 14:ChangelingMarineShield:lb 15:ChangelingMarine:lb
16:ChangelingZerglingWings:lb 17:ChangelingZergling:lb 18:CommandCenter:ams 19:SupplyDepot:ams 20:Refinery:ams
21:Barracks:ams 22:EngineeringBay:ams 23:MissileTurret:ams 24:Bunker:ams 25:SensorTower:ams 26:GhostAcademy:ams
27:Factory:ams 28:Starport:ams 29:Armory:ams 30:FusionCore:ams 31:AutoTurret:ams 32:SiegeTankSieged:am 33:SiegeTank:am
34:VikingAssault:am 35:VikingFighter:am 36:CommandCenterFlying:ams 37:BarracksTechLab:ams 38:BarracksReactor:ams
39:FactoryTechLab:ams 40:FactoryReactor:ams 41:StarportTechLab:ams 42:StarportReactor:ams 43:FactoryFlying:ams
44:StarportFlying:ams 45:SCV:lbm 46:BarracksFlying:ams 47:SupplyDepotLowered:ams 48:Marine:lb 49:Reaper:lb 50:Ghost:bp
51:Marauder:ab 52:Thor:amg 53:Hellion:lm 54:Medivac:am 55:Banshee:lm 56:Raven:lm 57:Battlecruiser:amg 58:Nuke
59:Nexus:as 60:Pylon:as 61:Assimilator:as 62:Gateway:as 63:Forge:as 64:FleetBeacon:as 65:TwilightCouncil:as
66:PhotonCannon:as 67:Stargate:as 68:TemplarArchive:as 69:DarkShrine:as 70:RoboticsBay:as 71:RoboticsFacility:as
72:CyberneticsCore:as 73:Zealot:lb 74:Stalker:am 75:HighTemplar:lbp 76:DarkTemplar:lbp 77:Sentry:lmp 78:Phoenix:lm
79:Carrier:amg 80:VoidRay:am 81:WarpPrism:amp 82:Observer:lm 83:Immortal:am 84:Probe:lm 85:Interceptor:lm
86:Hatchery:abs 87:CreepTumor:lbs 88:Extractor:abs 89:SpawningPool:abs 90:EvolutionChamber:abs 91:HydraliskDen:abs
92:Spire:abs 93:UltraliskCavern:abs 94:InfestationPit:abs 95:NydusNetwork:abs 96:BanelingNest:abs 97:RoachWarren:abs
98:SpineCrawler:abs 99:SporeCrawler:abs 100:Lair:abs 101:Hive:abs 102:GreaterSpire:abs 103:Cocoon:b 104:Drone:lb
105:Zergling:lb 106:Overlord:ab 107:Hydralisk:lb 108:Mutalisk:lb 109:Ultralisk:abg 110:Roach:ab 111:Infestor:abp
112:Corruptor:ab 113:BroodLordCocoon:bg 114:BroodLord:abg 115:BanelingBurrowed:b 116:DroneBurrowed:lb
117:HydraliskBurrowed:lb 118:RoachBurrowed:ab 119:ZerglingBurrowed:lb 120:InfestedTerranBurrowed:lb
125:QueenBurrowed:bp 126:Queen:bp 127:InfestorBurrowed:abp 128:OverseerCocoon:b 129:Overseer:ab
130:PlanetaryFortress:ams 131:UltraliskBurrowed:abg 132:OrbitalCommand:ams 133:WarpGate:as
134:OrbitalCommandFlying:ams 135:ForceField 136:WarpPrismPhasing:amp 137:CreepTumorBurrowed:lbs
138:CreepTumorQueen:lbs 139:SpineCrawlerUprooted:abs 140:SporeCrawlerUprooted:abs 141:Archon:pg 142:NydusCanal:abs
143:BroodlingEscort:lb 144:GhostAlternate:bp 145:GhostNova:bp 146:RichMineralField:s 147:RichMineralField750:s
149:XelNagaTower:s 150:InfestedTerranCocoon:b 151:Larva:lb 268:MULE:lm 289:Broodling:lb 311:Adept:lb
312:Rocks2x2NonConjoined:as 321:Lyote:b 322:CarrionBird:b 324:KarakFemale:b 330:UtilityBot:m 335:Scantipede:b
336:Dog:b 341:MineralField:s 342:VespeneGeyser:s 343:SpacePlatformGeyser:s 344:RichVespeneGeyser:s
350:DestructibleBillboardTall:a 364:DestructibleDebris4x4:as 365:DestructibleDebris6x6:as
366:DestructibleRock2x4Vertical:as 367:DestructibleRock2x4Horizontal:as 368:DestructibleRock2x6Vertical:as
369:DestructibleRock2x6Horizontal:as 370:DestructibleRock4x4:as 371:DestructibleRock6x6:as
372:DestructibleRampDiagonalHugeULBR:as 373:DestructibleRampDiagonalHugeBLUR:as 374:DestructibleRampVerticalHuge:as
375:DestructibleRampHorizontalHuge:as 376:DestructibleDebrisRampDiagonalHugeULBR:as
377:DestructibleDebrisRampDiagonalHugeBLUR:as 472:UnbuildableRocksDestructible:as 473:UnbuildableBricksDestructible:as
474:UnbuildablePlatesDestructible:as 475:Debris2x2NonConjoined:as 483:MineralField750:s 484:Hellbat:lbm
485:CollapsibleTerranTowerDebris:as 486:DebrisRampLeft:as 487:DebrisRampRight:as 488:MothershipCore:amp 489:Locust:lb
490:CollapsibleRockTowerDebris:as 491:NydusCanalAttacker:abs 492:NydusCanalCreeper:abs 493:SwarmHostBurrowed:ab
494:SwarmHost:ab 495:Oracle:amp 496:Tempest:amg 498:WidowMine:lm 499:Viper:abp 500:WidowMineBurrowed:lm
501:LurkerCocoon:b 502:Lurker:ab 503:LurkerBurrowed:ab 504:LurkerDen:abs 517:CollapsibleRockTowerDebrisRampRight:as
518:CollapsibleRockTowerDebrisRampLeft:as 559:CollapsibleTerranTowerPushUnitRampLeft:as
560:CollapsibleTerranTowerPushUnitRampRight:as 561:CollapsibleRockTowerPushUnit:as
562:CollapsibleTerranTowerPushUnit:as 563:CollapsibleRockTowerPushUnitRampRight:as
564:CollapsibleRockTowerPushUnitRampLeft:as 588:CollapsibleRockTowerDiagonal:as 589:CollapsibleTerranTowerDiagonal:as
590:CollapsibleTerranTowerRampLeft:as 591:CollapsibleTerranTowerRampRight:as 602:UnbuildableBricksSmallUnit
603:UnbuildablePlatesSmallUnit 604:UnbuildablePlatesUnit 605:UnbuildableRocksSmallUnit 608:ProtossVespeneGeyser:s
609:CollapsibleRockTower:as 610:CollapsibleTerranTower:as 612:CleaningBot:m 613:DestructibleRock6x6Weak:as
624:DestructibleCityDebris2x4Vertical:as 625:DestructibleCityDebris2x4Horizontal:as
626:DestructibleCityDebris2x6Vertical:as 627:DestructibleCityDebris2x6Horizontal:as 628:DestructibleCityDebris4x4:as
629:DestructibleCityDebris6x6:as 630:DestructibleCityDebrisHugeDiagonalBLUR:as
631:DestructibleCityDebrisHugeDiagonalULBR:as 634:DestructibleRockEx12x4Vertical:as
635:DestructibleRockEx12x4Horizontal:as 636:DestructibleRockEx12x6Vertical:as 637:DestructibleRockEx12x6Horizontal:as
638:DestructibleRockEx14x4:as 639:DestructibleRockEx16x6:as 640:DestructibleRockEx1DiagonalHugeULBR:as
641:DestructibleRockEx1DiagonalHugeBLUR:as 642:DestructibleRockEx1VerticalHuge:as
643:DestructibleRockEx1HorizontalHuge:as 644:DestructibleIce2x4Vertical:as 645:DestructibleIce2x4Horizontal:as
646:DestructibleIce2x6Vertical:as 647:DestructibleIce2x6Horizontal:as 648:DestructibleIce4x4:as
649:DestructibleIce6x6:as 650:DestructibleIceDiagonalHugeULBR:as 651:DestructibleIceDiagonalHugeBLUR:as
652:DestructibleIceVerticalHuge:as 653:DestructibleIceHorizontalHuge:as 656:UnbuildableBricksUnit
657:UnbuildableRocksUnit 661:LabBot:mv 662:Crabeetle:b 663:CollapsibleRockTowerRampRight:as
664:CollapsibleRockTowerRampLeft:as 665:LabMineralField:s 666:LabMineralField750:s 687:RavagerCocoon:b 688:Ravager:b
689:Liberator:am 690:RavagerBurrowed:b 691:ThorHighImpactMode:amg 692:Cyclone:am 693:LocustFlying:lb 694:Disruptor:am
732:StasisTrap:ls 733:DisruptorPhased:am 734:LiberatorAG:am 747:CollapsiblePurifierTowerDebris:as
796:PurifierRichMineralField:s 797:PurifierRichMineralField750:s 798:CollapsiblePurifierTowerPushUnit:as
801:AdeptPhaseShift:lb 824:ParasiticBombDummy 830:KD8Charge:s 836:DestructibleExpeditionGate6x6:as
837:DestructibleZergInfestation3x3:as 861:XelNagaDestructibleRampBlocker6S:as 862:XelNagaDestructibleRampBlocker6SE:as
863:XelNagaDestructibleRampBlocker6E:as 864:XelNagaDestructibleRampBlocker6NE:as
865:XelNagaDestructibleRampBlocker6N:as 866:XelNagaDestructibleRampBlocker6NW:as
867:XelNagaDestructibleRampBlocker6W:as 868:XelNagaDestructibleRampBlocker6SW:as
869:XelNagaDestructibleRampBlocker8S:as 870:XelNagaDestructibleRampBlocker8SE:as
871:XelNagaDestructibleRampBlocker8E:as 872:XelNagaDestructibleRampBlocker8NE:as
873:XelNagaDestructibleRampBlocker8N:as 874:XelNagaDestructibleRampBlocker8NW:as
875:XelNagaDestructibleRampBlocker8W:as 876:XelNagaDestructibleRampBlocker8SW:as 877:ReptileCrate:b
880:PurifierVespeneGeyser:s 881:ShakurasVespeneGeyser:s 882:CollapsiblePurifierTowerDiagonal:as
884:PurifierMineralField:s 885:PurifierMineralField750:s 886:BattleStationMineralField:s
887:BattleStationMineralField750:s 892:OverlordTransportCocoon:b 893:OverlordTransport:ab 894:PylonOvercharged:as
900:SupplyDepotDrop 958:BarracksTechReactor 959:FactoryTechReactor 960:StarportTechReactor
978:BattlecruiserHeliosMorph 980:SpacePlatformCliffDoorOpen0 981:SpacePlatformCliffDoor0
982:SpacePlatformCliffDoorOpen1 983:SpacePlatformCliffDoor1 984:DestructibleGateDiagonalBLURLowered
985:DestructibleGateDiagonalULBRLowered 986:DestructibleGateStraightHorizontalBFLowered
987:DestructibleGateStraightHorizontalLowered 988:DestructibleGateStraightVerticalLFLowered
989:DestructibleGateStraightVerticalLowered 990:DestructibleGateDiagonalBLUR 991:DestructibleGateDiagonalULBR
992:DestructibleGateStraightHorizontalBF 993:DestructibleGateStraightHorizontal 994:DestructibleGateStraightVerticalLF
995:DestructibleGateStraightVertical 1024:BattlecruiserHelios 1205:SpacePlatformDestructibleJumboBlocker
1206:SpacePlatformDestructibleLargeBlocker 1207:SpacePlatformDestructibleMediumBlocker
1208:SpacePlatformDestructibleSmallBlocker 1233:DestructibleKorhalFlag 1234:DestructibleKorhalPodium
1235:DestructibleKorhalTree 1236:DestructibleKorhalFoliage 1237:DestructibleSandbags 1751:InfestationSpire
1752:SpacePlatformVentsUnit 1801:DestructibleWallCorner45ULBL 1802:DestructibleWallCorner45ULUR
1803:DestructibleWallCorner45URBR 1804:DestructibleWallCorner45 1805:DestructibleWallCorner45UR90L
1806:DestructibleWallCorner45UL90B 1807:DestructibleWallCorner45BL90R 1808:DestructibleWallCorner45BR90T
1809:DestructibleWallCorner90L45BR 1810:DestructibleWallCorner90T45BL 1811:DestructibleWallCorner90R45UL
1812:DestructibleWallCorner90B45UR 1813:DestructibleWallCorner90TR 1814:DestructibleWallCorner90BR
1815:DestructibleWallCorner90LB 1816:DestructibleWallCorner90LT 1817:DestructibleWallDiagonalBLUR
1818:DestructibleWallDiagonalBLURLF 1819:DestructibleWallDiagonalULBRLF 1820:DestructibleWallDiagonalULBR
1821:DestructibleWallStraightVertical 1822:DestructibleWallVerticalLF 1823:DestructibleWallStraightHorizontal
1824:DestructibleWallStraightHorizontalBF 1893:XelNagaDestructibleBlocker6S:as 1894:XelNagaDestructibleBlocker6SE:as
1895:XelNagaDestructibleBlocker6E:as 1896:XelNagaDestructibleBlocker6NE:as 1897:XelNagaDestructibleBlocker6N:as
1898:XelNagaDestructibleBlocker6NW:as 1899:XelNagaDestructibleBlocker6W:as 1900:XelNagaDestructibleBlocker6SW:as
1901:XelNagaDestructibleBlocker8S:as 1902:XelNagaDestructibleBlocker8SE:as 1903:XelNagaDestructibleBlocker8E:as
1904:XelNagaDestructibleBlocker8NE:as 1905:XelNagaDestructibleBlocker8N:as 1906:XelNagaDestructibleBlocker8NW:as
1907:XelNagaDestructibleBlocker8W:as 1908:XelNagaDestructibleBlocker8SW:as 1910:ShieldBattery:as
1911:ObserverSurveillanceMode:lm 1912:OverseerOversightMode:ab 1913:RepairDrone:lmsu 1943:RefineryRich:ams 1955:Type1955
1956:Type1956 1957:Type1957 1958:Type1958 1960:Type1960 1961:Type1961 1982:InhibitorZoneSmall:s
1983:InhibitorZoneMedium:s 1984:InhibitorZoneLarge:s 1985:AccelerationZoneSmall:s
1986:AccelerationZoneMedium:s 1987:AccelerationZoneLarge:s
1988:AccelerationZoneFlyingSmall:s 1989:AccelerationZoneFlyingMedium:s 1990:AccelerationZoneFlyingLarge:s
1991:InhibitorZoneFlyingSmall:s 1992:InhibitorZoneFlyingMedium:s 1993:InhibitorZoneFlyingLarge:s
1994:AssimilatorRich:as 1995:ExtractorRich:abs 1996:MineralField450:s 1997:MineralFieldOpaque:s
1998:MineralFieldOpaque900:s 2036:CollapsibleRockTowerDebrisRampLeftGreen:as
2037:CollapsibleRockTowerDebrisRampRightGreen:as 2038:CollapsibleRockTowerPushUnitRampLeftGreen:as
2039:CollapsibleRockTowerPushUnitRampRightGreen:as 2040:CollapsibleRockTowerRampLeftGreen:as
2041:CollapsibleRockTowerRampRightGreen:as
"""
# id:name:attribute letters

_BUFFS = """
5:GravitonBeam 6:GhostCloak 7:BansheeCloak 8:PowerUserWarpable 11:QueenSpawnLarvaTimer 12:GhostHoldFire
13:GhostHoldFireB 16:EMPDecloak 17:FungalGrowth 18:GuardianShield 22:NeuralParasite 24:StimpackMarauder 25:SupplyDrop
27:Stimpack 28:PsiStorm 29:CloakFieldEffect 30:Charging 33:Slow 36:Contaminated 38:BlindingCloudStructure
49:OracleRevelation 59:ViperConsumeStructure 83:BlindingCloud 89:MedivacSpeedBoost 99:OracleWeapon
102:ImmortalOverload 116:LockOn 121:TemporalField 122:VoidRaySwarmDamageBoost 129:OracleStasisTrapTarget
132:ParasiticBomb 133:ParasiticBombUnitKU 134:ParasiticBombSecondaryUnitSearch 136:LurkerHoldFire 137:LurkerHoldFireB
145:ChannelSnipeCombat 271:CarryMineralFieldMinerals 272:CarryHighYieldMineralFieldMinerals
273:CarryHarvestableVespeneGeyserGas 274:CarryHarvestableVespeneGeyserGasProtoss
275:CarryHarvestableVespeneGeyserGasZerg 276:PermanentlyCloaked 277:RavenScramblerMissile
278:RavenShredderMissileTimeout 279:RavenShredderMissileTint 280:RavenShredderMissileArmorReduction
281:ChronoBoostEnergyCost 282:NexusShieldRechargeOnPylonBehavior
283:NexusShieldRechargeOnPylonBehaviorSecondaryOnTarget 284:InfestorEnsnare
285:InfestorEnsnareMakePrecursorReheightSource 286:NexusShieldOvercharge 287:ParasiticBombDelayTimedLife
288:VoidRaySpeedUpgrade 289:InhibitorZoneTemporalField 290:AccelerationZoneFlyingTemporalField
291:InhibitorZoneFlyingTemporalField 293:InhibitorZoneTemporalField293 294:ResonatingGlaivesPhaseShift
295:NeuralParasiteChildren 296:AmorphousArmorcloud 297:RavenShredderMissileArmorReductionUISubtruct
298:BatteryOvercharge 305:NydusCreepGrowth 306:OnCreepVisible
"""

_UPGRADES = """
1:GravitonCatapult 2:GlialReconstitution 3:TunnelingClaws 4:ChitinousPlating 5:HiSecAutoTracking
6:TerranStructureArmor 7:TerranInfantryWeaponsLevel1 8:TerranInfantryWeaponsLevel2 9:TerranInfantryWeaponsLevel3
10:NeosteelFrame 11:TerranInfantryArmorsLevel1 12:TerranInfantryArmorsLevel2 13:TerranInfantryArmorsLevel3
14:ReaperSpeed 15:Stimpack 16:CombatShield 17:ConcussiveShells 18:SiegeTech 19:InfernalPreigniter 20:CloakingField
21:MedivacCaduceusReactor 22:CorvidReactor 23:HunterSeeker 24:DurableMaterials 25:PersonalCloaking
26:GhostMoebiusReactor 27:TerranVehicleArmorsLevel1 28:TerranVehicleArmorsLevel2 29:TerranVehicleArmorsLevel3
30:TerranVehicleWeaponsLevel1 31:TerranVehicleWeaponsLevel2 32:TerranVehicleWeaponsLevel3 33:TerranShipArmorsLevel1
34:TerranShipArmorsLevel2 35:TerranShipArmorsLevel3 36:TerranShipWeaponsLevel1 37:TerranShipWeaponsLevel2
38:TerranShipWeaponsLevel3 39:ProtossGroundWeaponsLevel1 40:ProtossGroundWeaponsLevel2 41:ProtossGroundWeaponsLevel3
42:ProtossGroundArmorsLevel1 43:ProtossGroundArmorsLevel2 44:ProtossGroundArmorsLevel3 45:ProtossShieldsLevel1
46:ProtossShieldsLevel2 47:ProtossShieldsLevel3 48:GraviticBooster 49:GraviticDrive 50:ExtendedThermalLance
51:HighTemplarKhaydarinAmulet 52:PsiStorm 53:ZergMeleeWeaponsLevel1 54:ZergMeleeWeaponsLevel2
55:ZergMeleeWeaponsLevel3 56:ZergGroundArmorsLevel1 57:ZergGroundArmorsLevel2 58:ZergGroundArmorsLevel3
59:ZergMissileWeaponsLevel1 60:ZergMissileWeaponsLevel2 61:ZergMissileWeaponsLevel3 62:PneumatizedCarapace
63:Overlordtransport 64:Burrow 65:AdrenalGlands 66:MetabolicBoost 67:Hydraliskspeed 68:ZergFlyerWeaponsLevel1
69:ZergFlyerWeaponsLevel2 70:ZergFlyerWeaponsLevel3 71:ZergFlyerArmorsLevel1 72:ZergFlyerArmorsLevel2
73:ZergFlyerArmorsLevel3 74:PathogenGlands 75:CentrificalHooks 76:WeaponRefit 77:BattlecruiserBehemothReactor
78:ProtossAirWeaponsLevel1 79:ProtossAirWeaponsLevel2 80:ProtossAirWeaponsLevel3 81:ProtossAirArmorsLevel1
82:ProtossAirArmorsLevel2 83:ProtossAirArmorsLevel3 84:WarpGateResearch 85:Haltech 86:Charge 87:Blink
88:AnabolicSynthesis 89:ObverseIncubation 90:VikingJotunBoosters 91:OrganicCarapace 92:InfestorPeristalsis
93:AbdominalFortitude 94:HydraliskSpeedUpgrade 95:BanelingBurrowMove 96:CombatDrugs 97:StrikeCannons
98:TransformationServos 99:AnionPulseCrystals 100:TempestRangeUpgrade 101:NeuralParasite 102:LocustLifetimeIncrease
103:UltraliskBurrowChargeUpgrade 104:OracleEnergyUpgrade 105:RestoreShields 109:ReaperJump 110:IncreasedRange
111:ZergBurrowMove 112:AnionPulseCrystals112 113:TerranVehicleAndShipWeaponsLevel1
114:TerranVehicleAndShipWeaponsLevel2 115:TerranVehicleAndShipWeaponsLevel3 116:TerranVehicleAndShipArmorsLevel1
117:TerranVehicleAndShipArmorsLevel2 118:TerranVehicleAndShipArmorsLevel3 119:FlyingLocusts 120:RoachSupply
121:ImmortalRevive 122:DrillingClaws 123:CycloneLockOnRangeUpgrade 124:CycloneAirUpgrade 125:LiberatorMorph
126:AdeptShieldUpgrade 127:LurkerRange 128:ImmortalBarrier 129:AdeptKillBounce 130:ResonatingGlaives 131:CinematicMode
132:CursorDebug 133:MagFieldLaunchers 134:GroovedSpines 135:MuscularAugments 136:HyperflightRotors
137:MedivacRapidDeployment 138:RavenRecalibratedExplosives 139:HighCapacityFuelTanks 140:AdvancedBallistics
141:ShadowStrike 142:RavagerRange 143:RavenDamageUpgrade 144:LockOn 288:VoidRaySpeedUpgrade 289:SmartServos
290:ArmorPiercingRockets 291:CycloneRapidFireLaunchers 292:RavenEnhancedMunitions 293:AdaptiveTalons
294:CarrierCarrierCapacity 295:CarrierLeashRangeUpgrade 296:EnhancedShockwaves 297:EnhancedShockwaves297
298:MicrobialShroud 299:SunderingImpact 300:AmplifiedShielding 301:PsionicAmplifiers 302:SecretedCoating
"""

_EFFECTS = """
1:PsiStorm 2:GuardianShield 3:TemporalFieldGrowing 4:TemporalField 5:ThermalLance 6:ScannerSweep 7:NukeDot
8:LiberatorDefenderZoneSetup 9:LiberatorDefenderZone 10:BlindingCloud 11:CorrosiveBile 12:LurkerSpines
"""


def _parse(table: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the ids and names of a table."""
    fields = [entry.split(":") for entry in table.split()]
    return tuple(int(field[0]) for field in fields), tuple(field[1] for field in fields)


def _parse_attributes(table: str) -> NDArray[np.int8]:
    """Return the attributes [1 + entries, attributes] of the unit types; those of the unknown type are zero."""
    letters = [""] + [f"{entry}::".split(":")[2] for entry in table.split()]
    rows = np.asarray([[letter in entry for letter in _ATTRIBUTE_LETTERS] for entry in letters], np.int8)
    rows.setflags(write=False)
    return rows


def _index_function(ids: Sequence[int]) -> Callable[[NDArray[np.integer] | Sequence[int]], NDArray[np.int32]]:
    """Return the function that turns ids into indices: k + 1 for `ids[k]`, 0 for every other number."""
    lookup = np.zeros(max(ids) + 2, np.int32)
    lookup[list(ids)] = np.arange(1, len(ids) + 1)
    lookup.setflags(write=False)

    def index(game_ids: NDArray[np.integer] | Sequence[int]) -> NDArray[np.int32]:
        """Return the table's index of each id, 0 where the table does not hold it; same shape."""
        # Neither 0 nor the last number is an id: what is clipped to them is unknown too.
        return np.take(lookup, game_ids, mode="clip")

    return index


UNIT_TYPE_IDS, UNIT_TYPE_NAMES = _parse(_UNIT_TYPES)
"""The game's ids of the unit types and their names, those of pysc2 where it has one."""
BUFF_IDS, BUFF_NAMES = _parse(_BUFFS)
UPGRADE_IDS, UPGRADE_NAMES = _parse(_UPGRADES)
EFFECT_IDS, EFFECT_NAMES = _parse(_EFFECTS)
UNIT_ATTRIBUTES = _parse_attributes(_UNIT_TYPES)
"""Attributes int8 [1 + unit types, 11] by unit type index, from `RequestData`; zeros for the unknown type (index 0)."""

unit_type_index = _index_function(UNIT_TYPE_IDS)
buff_index = _index_function(BUFF_IDS)
upgrade_index = _index_function(UPGRADE_IDS)
effect_index = _index_function(EFFECT_IDS)
