/** Plain words for things of nature and a few made by hand; none is a person, a part of a body, a food of doubt, a firm or a computer. */
export const NOUNS: readonly string[] = Object.freeze(
  `acorn alder anchor apple arch aspen aurora badger bamboo bay beach beacon birch bird bison blossom bluff boulder breeze bridge brook
   butterfly cabin canoe canyon cascade castle cave cedar cliff cloud clover comet cottage cove crane creek cricket dale delta desert
   dolphin dove dune eagle echo elk elm falcon feather fern field finch firefly fjord flower fog forest fountain fox galaxy
   garden geyser glacier glade grove gull harbor harvest hawk heath hedge heron hill hollow horizon hummingbird iceberg iris island ivy
   juniper kestrel kingfisher kite lagoon lake lantern lark laurel leaf lighthouse lily lotus lynx maple marsh meadow meteor mill mist
   moon moor moose mountain nebula oak oasis ocean orchard orchid osprey otter owl paddock palm panda path pebble penguin pine planet
   plateau pond poplar poppy prairie puffin quail rain rainbow raven reef ridge river robin rose sail sea seashell shadow shore sky
   sequoia smoke snow snowflake sparrow spring spruce squirrel star starling stone stream summit sun sunrise sunset surf swan
   thicket thistle thunder tide trail tree tulip tundra turtle valley vista voice walnut water waterfall wave wharf wildflower willow
   wind windmill wood wren yarrow zephyr`
    .split(/\s+/)
    .filter(word => word !== ''),
)
