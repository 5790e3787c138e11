/** Plain words of calm meaning, whatever noun follows: weather, light, colour, pace, temper. */
export const ADJECTIVES: readonly string[] = Object.freeze(
  `agile airy amber ancient autumn azure balmy bold bouncy brave breezy bright brisk bronze calm candid careful cheerful chilly
   clear clever cloudy cool copper cosy crimson crisp crystal curious daring dapper deep delicate distant dusty eager early earnest
   easy emerald evening fabled fair fancy festive fine fleet floral fond fresh friendly frosty gentle gilded glad gleaming golden
   graceful grand grateful green happy hazel hearty hidden honest humble icy indigo ivory jade jolly jovial joyful keen kind lavender
   leafy lemon light lilac little lively lofty lucky lunar lush magic mellow merry mild mindful misty modest morning mossy
   neat nimble noble northern olive open orange pastel patient peaceful placid plain playful polar polished proud
   purple quick quiet radiant rapid rosy ruby rustic sandy sapphire scarlet scenic serene shiny silent silver simple
   smooth snowy soft solar solid sparkling spotless steady still summer sunlit sunny swift tidy topaz tranquil
   trusty turquoise twilight vast velvet vivid warm western whimsical windy winter wise wooden zesty`
    .split(/\s+/)
    .filter(word => word !== ''),
)
